// Package iam evaluates IAM policies as AWS documents that it does, for the part of the language that polynat's policies use.
// What it does not know it refuses, so that no test passes for what was not evaluated.
package iam

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Policy is a parsed document.
type Policy struct{ statements []statement }

type statement struct {
	Sid, Effect string
	Principal   map[string]string
	Action      []string
	Resource    []string
	Condition   map[string]map[string][]string
}

// Request is one check that AWS makes: a call that touches two resources makes two.
type Request struct {
	// Action such as "ec2:ReplaceRoute"; Resource is an ARN, or "*" for actions that know no resource.
	Action, Resource string
	// Context are the condition keys of the request.
	Context map[string]string
}

// operators compare the values of a statement with that of a request.
var operators = map[string]func(pattern, value string) bool{
	"StringEquals": func(p, v string) bool { return p == v },
	"StringLike":   Match,
	"ArnEquals":    matchARN, // as documented, the same as ArnLike
	"ArnLike":      matchARN,
	// that the request has the key at all: "false" is that it is not null
	"Null": func(p, _ string) bool { return p == "false" },
}

// Parse reads a document, and refuses what Allows would not understand.
func Parse(text string) (*Policy, error) {
	var document struct {
		Version   string
		Statement []statement
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&document); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	if document.Version != "2012-10-17" {
		return nil, fmt.Errorf("policy: version %q", document.Version)
	}
	for _, s := range document.Statement {
		if s.Effect != "Allow" && s.Effect != "Deny" {
			return nil, fmt.Errorf("statement %s: effect %q", s.Sid, s.Effect)
		}
		for _, value := range slices.Concat(s.Action, s.Resource) {
			if strings.Contains(value, "${") {
				return nil, fmt.Errorf("statement %s: %s: variables are not evaluated here", s.Sid, value)
			}
		}
		for operator, keys := range s.Condition {
			for _, values := range keys {
				if operator == "Null" && !slices.Equal(values, []string{"false"}) {
					return nil, fmt.Errorf("statement %s: Null: %v is not evaluated here", s.Sid, values)
				}
			}
			if operators[operator] == nil {
				return nil, fmt.Errorf("statement %s: the operator %s is not evaluated here", s.Sid, operator)
			}
			for key, values := range keys {
				if strings.Contains(strings.Join(values, ""), "${") {
					return nil, fmt.Errorf("statement %s: %s: variables are not evaluated here", s.Sid, key)
				}
			}
		}
	}
	return &Policy{document.Statement}, nil
}

// Allows tells whether a statement allows the request and none denies it.
func (p *Policy) Allows(r Request) bool {
	allowed := false
	for _, s := range p.statements {
		if !s.matches(r) {
			continue
		}
		if s.Effect == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

// Actions are all actions that a statement allows, sorted.
func (p *Policy) Actions() (actions []string) {
	for _, s := range p.statements {
		if s.Effect == "Allow" {
			actions = append(actions, s.Action...)
		}
	}
	slices.Sort(actions)
	return slices.Compact(actions)
}

// Everywhere are the actions that a statement allows on every resource, sorted.
func (p *Policy) Everywhere() (actions []string) {
	for _, s := range p.statements {
		if s.Effect == "Allow" && slices.Contains(s.Resource, "*") {
			actions = append(actions, s.Action...)
		}
	}
	slices.Sort(actions)
	return slices.Compact(actions)
}

func (s statement) matches(r Request) bool {
	action := slices.ContainsFunc(s.Action, func(p string) bool { return Match(strings.ToLower(p), strings.ToLower(r.Action)) })
	resource := slices.ContainsFunc(s.Resource, func(p string) bool { return Match(p, r.Resource) })
	if !action || !resource {
		return false
	}
	for operator, keys := range s.Condition {
		for key, patterns := range keys {
			value, there := r.Context[key]
			if !there || !slices.ContainsFunc(patterns, func(p string) bool { return operators[operator](p, value) }) {
				return false
			}
		}
	}
	return true
}

// matchARN compares the six parts of two ARNs each by itself, so that no wildcard reaches over a colon but in the last.
func matchARN(pattern, value string) bool {
	p, v := strings.SplitN(pattern, ":", 6), strings.SplitN(value, ":", 6)
	if len(p) != 6 || len(v) != 6 {
		return false
	}
	for i := range p {
		if !Match(p[i], v[i]) {
			return false
		}
	}
	return true
}

// Match compares with a pattern in which * is any text and ? any character.
func Match(pattern, text string) bool {
	for pattern != "" {
		switch {
		case pattern[0] == '*':
			for i := 0; i <= len(text); i++ {
				if Match(pattern[1:], text[i:]) {
					return true
				}
			}
			return false
		case text == "" || pattern[0] != '?' && pattern[0] != text[0]:
			return false
		}
		pattern, text = pattern[1:], text[1:]
	}
	return text == ""
}
