package nat

// QuotaWarning for tests: the log of a mocked program cannot be read.
var QuotaWarning = quotaWarning
