package access

import "encoding/json"

// Document is an IAM policy.
type Document struct {
	Version   string
	Statement []Statement
}

// Statement of a policy.
type Statement struct {
	Sid       string
	Effect    string
	Principal map[string]string `json:",omitempty"`
	Action    []string
	Resource  []string  `json:",omitempty"`
	Condition Condition `json:",omitempty"`
}

// Condition is a condition block: operator, key, values.
type Condition map[string]map[string][]string

// languageVersion of the policies; the only one that knows variables.
const languageVersion = "2012-10-17"

func document(statements ...Statement) Document {
	return Document{Version: languageVersion, Statement: statements}
}

func allow(sid string, actions []string, resources ...string) Statement {
	return Statement{Sid: sid, Effect: "Allow", Action: actions, Resource: resources}
}

func (s Statement) when(operator, key string, values ...string) Statement {
	c := Condition{}
	for o, keys := range s.Condition {
		c[o] = keys
	}
	keys := map[string][]string{key: values}
	for k, v := range c[operator] {
		keys[k] = v
	}
	c[operator] = keys
	s.Condition = c
	return s
}

// JSON is the document in one order.
func (d Document) JSON() (string, error) {
	data, err := json.Marshal(d)
	return string(data), err
}

// OnlyEncrypted is the policy of a bucket that denies what does not come over TLS.
func (a Account) OnlyEncrypted(bucket string) Document {
	arn := "arn:" + a.Partition + ":s3:::" + bucket
	s := allow("OnlyEncrypted", []string{"s3:*"}, arn, arn+"/*").when("Bool", "aws:SecureTransport", "false")
	s.Effect, s.Principal = "Deny", map[string]string{"AWS": "*"}
	return document(s)
}

// trust lets a service of AWS take the role, for this account only where the service says whom it acts for.
func (a Account) trust(service string, ownAccount bool) Document {
	s := Statement{Sid: "Trust", Effect: "Allow", Principal: map[string]string{"Service": service}, Action: []string{"sts:AssumeRole"}}
	if ownAccount {
		s = s.when("StringEquals", "aws:SourceAccount", a.ID)
	}
	return document(s)
}
