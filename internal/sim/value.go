package sim

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/types/known/structpb"
)

// Sentinels of Pulumi's wire format (sdk/go/common/resource/plugin and resource/sig in github.com/pulumi/pulumi).
const (
	// unknownSentinel is how a value that is not known yet travels.
	unknownSentinel = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
	// signatureKey marks an object that stands for a special value: a secret, a file, or several in an archive.
	signatureKey     = "4dabf18193072939515e22adb298388d"
	secretSignature  = "1b47061264138c4ac30d75fd1eb44270"
	assetSignature   = "c44067f5952c0a294b673a41bacd8c17"
	archiveSignature = "0def7320c3a5731c473e5ecbe6d01bc7"
	// defaultsKey lists, among a resource's inputs and in each object in them, those that the provider filled in. Bridged
	// providers keep it in the state, so the state of a real stack means the same here.
	defaultsKey = "__defaults"
)

// fromWire turns a property bag of the protocol into an Object. Secrets lose their secrecy: the engine keeps it, because
// the Server says that it does not accept secrets. A nil property is an absent one.
func fromWire(s *structpb.Struct) Object {
	o := make(Object, len(s.GetFields()))
	for k, v := range s.GetFields() {
		if value := fromWireValue(v); value != nil {
			o[k] = value
		}
	}
	return o
}

func fromWireValue(v *structpb.Value) any {
	switch v := v.GetKind().(type) {
	case *structpb.Value_BoolValue:
		return v.BoolValue
	case *structpb.Value_NumberValue:
		return v.NumberValue
	case *structpb.Value_StringValue:
		if v.StringValue == unknownSentinel {
			return Unknown{}
		}
		return v.StringValue
	case *structpb.Value_ListValue:
		list := make([]any, 0, len(v.ListValue.GetValues()))
		for _, e := range v.ListValue.GetValues() {
			list = append(list, fromWireValue(e))
		}
		return list
	case *structpb.Value_StructValue:
		if v.StructValue.GetFields()[signatureKey].GetStringValue() == secretSignature {
			return fromWireValue(v.StructValue.GetFields()["value"])
		}
		return fromWire(v.StructValue)
	default:
		return nil
	}
}

// toWire is the inverse of fromWire.
func toWire(o Object) (*structpb.Struct, error) {
	return structpb.NewStruct(encodeObject(o))
}

// encodeObject copies an object and puts the sentinel where a value is unknown.
func encodeObject(o Object) Object {
	c := make(Object, len(o))
	for k, e := range o {
		c[k] = encode(e)
	}
	return c
}

func encode(v any) any {
	switch v := v.(type) {
	case Unknown:
		return unknownSentinel
	case Object:
		return encodeObject(v)
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = encode(e)
		}
		return list
	case []string:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = e
		}
		return list
	default:
		return v
	}
}

// cloneObject copies an object to its depth.
func cloneObject(o Object) Object {
	c := make(Object, len(o))
	for k, e := range o {
		c[k] = clone(e)
	}
	return c
}

// clone copies a value to its depth.
func clone(v any) any {
	switch v := v.(type) {
	case Object:
		return cloneObject(v)
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = clone(e)
		}
		return list
	default:
		return v
	}
}

// byHash returns a copy of a value as providers answer a Read: the engine tells them of files and archives the hashes alone, and
// the SDK that providers are made with gives every archive a list of files, here an empty one. The engine takes that for its
// contents, and does not put back those that it knows (restoreElidedAssetContents in sdk/go/common/resource/plugin).
func byHash(v any) any {
	switch v := v.(type) {
	case Object:
		switch v[signatureKey] {
		case assetSignature:
			return Object{signatureKey: assetSignature, "hash": v["hash"]}
		case archiveSignature:
			return Object{signatureKey: archiveSignature, "hash": v["hash"], "assets": Object{}}
		}
		c := make(Object, len(v))
		for k, e := range v {
			c[k] = byHash(e)
		}
		return c
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = byHash(e)
		}
		return list
	default:
		return v
	}
}

// properties returns a copy of o for a Cloud: without what only providers see, at any depth.
func properties(o Object) Object {
	c, _ := unmarked(cloneObject(o)).(Object)
	return c
}

// unmarked takes the lists of defaults out of a value, in place.
func unmarked(v any) any {
	switch v := v.(type) {
	case Object:
		delete(v, defaultsKey)
		for _, e := range v {
			unmarked(e)
		}
	case []any:
		for _, e := range v {
			unmarked(e)
		}
	}
	return v
}

// marked returns a value with the lists of defaults of an earlier one, at any depth, as far as the two are alike.
func marked(was, is any) any {
	switch is := is.(type) {
	case Object:
		was, _ := was.(Object)
		c := make(Object, len(is))
		for k, e := range is {
			c[k] = marked(was[k], e)
		}
		if list, ok := was[defaultsKey]; ok {
			c[defaultsKey] = list
		}
		return c
	case []any:
		was, _ := was.([]any)
		list := make([]any, len(is))
		for i, e := range is {
			list[i] = e
			if i < len(was) {
				list[i] = marked(was[i], e)
			}
		}
		return list
	default:
		return is
	}
}

// defaults returns the names of the inputs that the provider filled in, sorted.
func defaults(inputs Object) []string {
	list, _ := inputs[defaultsKey].([]any)
	var names []string
	for _, e := range list {
		if name, ok := e.(string); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// over returns the union of two bags; where both have a property, top wins.
func over(base, top Object) Object {
	o := maps.Clone(base)
	if o == nil {
		o = Object{}
	}
	maps.Copy(o, top)
	return o
}
