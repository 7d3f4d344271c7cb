package loadbalancer

// UserData lets a test see the script of an instance.
var UserData = userData
