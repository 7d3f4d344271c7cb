package sim

// Schema holds the facts about one provider package that the Server needs.
type Schema struct {
	// Package is the package's name, such as "alicloud".
	Package string `json:"package"`
	// Version is the version of the SDK that the facts were taken from, without a "v".
	Version string `json:"version"`
	// Resources by type token, such as "alicloud:vpc/natGateway:NatGateway".
	Resources map[string]*Resource `json:"resources"`
	// Functions by token, such as "alicloud:vpc/getRouteEntries:getRouteEntries".
	Functions map[string]*Function `json:"functions,omitempty"`
	// Types are the object types that properties refer to as "object:Name", by name: their properties.
	Types map[string]map[string]Property `json:"types,omitempty"`
}

// Resource holds the facts about one resource type.
type Resource struct {
	// Token is the Pulumi type token. Empty in JSON: it is the key in [Schema.Resources].
	Token string `json:"token,omitempty"`
	// Terraform is the type's name in the upstream provider, such as "alicloud_nat_gateway"; for messages only.
	Terraform string `json:"terraform,omitempty"`
	// Inputs by property name.
	Inputs map[string]Property `json:"inputs"`
	// Outputs are the names of the properties that the provider returns, which usually include the inputs.
	Outputs []string `json:"outputs,omitempty"`
	// Autoname is the input that the provider fills with a name made from the resource's logical name when the program
	// leaves it out; empty when there is none. If the program sets it, every replacement deletes before it creates,
	// because two objects of one name are taken to be impossible.
	Autoname string `json:"autoname,omitempty"`
	// AutonameSkippedIfSet are inputs that take the place of the automatic name: if one of them is set, there is none.
	AutonameSkippedIfSet []string `json:"autonameSkippedIfSet,omitempty"`
	// Updatable says that the type has an update operation. If it has none, every change replaces.
	Updatable bool `json:"updatable,omitempty"`
}

// Function holds the facts about one function (a lookup).
type Function struct {
	// Token is the function's token. Empty in JSON: it is the key in [Schema.Functions].
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
	// Empty means any. Strings are accepted where a number or a bool is asked for if they spell one, and the other way
	// round, as bridged providers do.
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
	// Conflicts are properties that may not be set together with this one.
	Conflicts []string `json:"conflicts,omitempty"`
	// Default is filled in when the program leaves the property out; nil means none.
	Default any `json:"default,omitempty"`
}
