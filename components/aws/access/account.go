package access

import "strings"

// Account is where a component stands.
type Account struct {
	// ID of twelve digits, Region such as "eu-west-1".
	ID, Region string
	// Partition is aws, aws-cn or aws-us-gov.
	Partition string
	// DNSSuffix of the partition's endpoints, such as amazonaws.com.
	DNSSuffix string
}

// ARN of something in the account and region.
func (a Account) ARN(service, resource string) string {
	return strings.Join([]string{"arn", a.Partition, service, a.Region, a.ID, resource}, ":")
}
