package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Schema holds the facts about one provider package that the Server needs.
type Schema struct {
	// Package is the package's name, such as "alicloud".
	Package string `json:"package"`
	// Version is the version of the SDK that the facts were taken from, without a "v".
	Version string `json:"version"`
	// BasePlugin is the plugin that serves the package when it is parameterized, such as "terraform-provider"; empty when
	// the package has a plugin of its own.
	BasePlugin string `json:"basePlugin,omitempty"`
	// CreateFirst says that replacements create before they delete even when the program gives a name that the provider
	// could have made up ([Resource.Autoname]): providers of the dynamic bridge leave the order to the program.
	CreateFirst bool `json:"createFirst,omitempty"`
	// Resources by type token, such as "alicloud:vpc/natGateway:NatGateway".
	Resources map[string]*Resource `json:"resources"`
	// Functions by token, such as "alicloud:vpc/getRouteEntries:getRouteEntries".
	Functions map[string]*Function `json:"functions,omitempty"`
	// Types are the object types that properties refer to as "object:Name", by name: their properties.
	Types map[string]map[string]Property `json:"types,omitempty"`
}

// Resource holds the facts about one resource type.
type Resource struct {
	// Token is the Pulumi type token: the key in [Schema.Resources], filled in by [ParseSchema].
	Token string `json:"token,omitempty"`
	// Terraform is the type's name in the upstream provider, such as "alicloud_nat_gateway"; for messages only.
	Terraform string `json:"terraform,omitempty"`
	// Inputs by property name.
	Inputs map[string]Property `json:"inputs"`
	// Outputs are the names of the properties that the provider returns, which usually include the inputs.
	Outputs []string `json:"outputs,omitempty"`
	// Autoname is the input that the provider fills with a name made from the resource's logical name when the program
	// leaves it out; empty when there is none. If the program sets it, every replacement deletes before it creates,
	// because two objects of one name are taken to be impossible; except with [Schema.CreateFirst].
	Autoname string `json:"autoname,omitempty"`
	// AutonameSkippedIfSet are inputs that take the place of the automatic name: if one of them is set, there is none.
	AutonameSkippedIfSet []string `json:"autonameSkippedIfSet,omitempty"`
	// IDWithin is the input that names the object within which the ids of the type are unique, such as the group of a
	// lifecycle hook, whose id is its name alone; empty when no two ids are equal. See [Resource.CloudID].
	IDWithin string `json:"idWithin,omitempty"`
	// EmptyIsNull says that the cloud has no empty maps: what the program gives as one is read back as nothing.
	EmptyIsNull bool `json:"emptyIsNull,omitempty"`
	// Recomputed are outputs that an update changes, such as the number of the latest version: unknown in its preview.
	Recomputed []string `json:"recomputed,omitempty"`
	// Updatable says that the type has an update operation. If it has none, every change replaces.
	Updatable bool `json:"updatable,omitempty"`
}

// CloudID is the id by which a [Cloud] knows a resource that has this id in a state: with [Resource.IDWithin], what o has there comes
// first. An id that begins with that already, as one to import does, stays as it is.
func (r *Resource) CloudID(id string, o Object) string {
	if scope := r.scope(o); !strings.HasPrefix(id, scope) {
		return scope + id
	}
	return id
}

// stateID is the inverse of CloudID.
func (r *Resource) stateID(id string, o Object) string { return strings.TrimPrefix(id, r.scope(o)) }

func (r *Resource) scope(o Object) string {
	if within := Text(o, r.IDWithin); within != "" {
		return within + "/"
	}
	return ""
}

// Function holds the facts about one function (a lookup).
type Function struct {
	// Token is the function's token: the key in [Schema.Functions], filled in by [ParseSchema].
	Token string `json:"token,omitempty"`
	// Args by name. Of a [Property], Required, Type, Enum, Conflicts and Default are heeded.
	Args map[string]Property `json:"args,omitempty"`
	// Result are the names of the properties of the answer.
	Result []string `json:"result,omitempty"`
}

// Property holds the facts about one input.
type Property struct {
	// Type is one of
	//
	//	string int float bool any
	//	list:T      a list of T
	//	map:T       a map from string to T; "map" alone is map:any
	//	object:Name an object of the type Name in [Schema.Types]; "object" alone is an object of unknown shape
	//
	// Empty means any. Values are not converted: the string "80" is not an int.
	Type string `json:"type,omitempty"`
	// Required: the check fails when the property is absent.
	Required bool `json:"required,omitempty"`
	// ForceNew: a change replaces the resource.
	ForceNew bool `json:"forceNew,omitempty"`
	// Computed: when the program leaves the property out, the cloud chooses the value; leaving it out after it was set
	// keeps the cloud's value and is no change.
	Computed bool `json:"computed,omitempty"`
	// Enum are the allowed values; empty means that any is.
	Enum []string `json:"enum,omitempty"`
	// EnumStrict says that the real provider validates the enumeration. It is only documentation: the Server checks
	// documented enumerations too, because the real cloud refuses other values later, in the middle of an update.
	EnumStrict bool `json:"enumStrict,omitempty"`
	// Length holds the least and the greatest length of a string that the provider takes, such as [2, 128]; empty means any.
	// It is asked of an empty string, too, which a program does not write, but a refresh may have left in the inputs.
	Length []int `json:"length,omitempty"`
	// Conflicts are properties that may not be set together with this one.
	Conflicts []string `json:"conflicts,omitempty"`
	// Default is filled in when the program leaves the property out; nil means none.
	Default any `json:"default,omitempty"`
}

// ParseSchema reads a schema from JSON, strictly: an unknown field, an unknown property type or a reference to a
// property that does not exist is an error. Every problem is reported at once.
func ParseSchema(data []byte) (*Schema, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var s Schema
	if err := decoder.Decode(&s); err != nil {
		return nil, fmt.Errorf("decode schema: %w", err)
	}
	if err := s.validate(); err != nil {
		return nil, err
	}
	return &s, nil
}

// validate completes the tokens and returns every problem.
func (s *Schema) validate() error {
	var errs []error
	if s.Package == "" {
		errs = append(errs, errors.New("package: missing: a schema describes one package (set it)"))
	}
	for _, token := range slices.Sorted(maps.Keys(s.Resources)) {
		r := s.Resources[token]
		if r == nil {
			errs = append(errs, fmt.Errorf("%s: null: not a resource (remove it)", token))
			continue
		}
		r.Token = token
		errs = append(errs, s.validateProperties(token, r.Inputs)...)
		for _, name := range append(r.AutonameSkippedIfSet, r.Autoname) {
			if _, ok := r.Inputs[name]; name != "" && !ok {
				errs = append(errs, fmt.Errorf("%s: autoname %q: not an input (name one)", token, name))
			}
		}
		if _, ok := r.Inputs[r.IDWithin]; r.IDWithin != "" && !ok {
			errs = append(errs, fmt.Errorf("%s: idWithin %q: not an input (name one)", token, r.IDWithin))
		}
	}
	for _, token := range slices.Sorted(maps.Keys(s.Functions)) {
		f := s.Functions[token]
		if f == nil {
			errs = append(errs, fmt.Errorf("%s: null: not a function (remove it)", token))
			continue
		}
		f.Token = token
		errs = append(errs, s.validateProperties(token, f.Args)...)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Types)) {
		errs = append(errs, s.validateProperties(name, s.Types[name])...)
	}
	return errors.Join(errs...)
}

func (s *Schema) validateProperties(where string, facts map[string]Property) []error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		p := facts[name]
		if err := s.validateType(p.Type); err != nil {
			errs = append(errs, fmt.Errorf("%s.%s: type %q: %w", where, name, p.Type, err))
		}
		if n := len(p.Length); n != 0 && n != 2 {
			errs = append(errs, fmt.Errorf("%s.%s: length %v: not a least and a greatest length (give two numbers)", where, name, p.Length))
		}
		for _, other := range p.Conflicts {
			if _, ok := facts[other]; !ok {
				errs = append(errs, fmt.Errorf("%s.%s: conflicts with %q: no such property (remove it)", where, name, other))
			}
		}
	}
	return errs
}

func (s *Schema) validateType(typ string) error {
	kind, of, compound := strings.Cut(typ, ":")
	switch kind {
	case "", "any", "string", "int", "float", "bool":
		if compound {
			return fmt.Errorf("%s has no element type (remove %q)", kind, ":"+of)
		}
		return nil
	case "list", "map":
		return s.validateType(of)
	case "object":
		if _, ok := s.Types[of]; of != "" && !ok {
			return fmt.Errorf("%s is not among the types (add it)", of)
		}
		return nil
	default:
		return fmt.Errorf("not a type (use string, int, float, bool, any, list:T, map:T or object:Name)")
	}
}
