package api

import (
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// parameters are those of a request of the Query protocols, as a tree: Filter.1.Value.2=x is a leaf four levels down.
type parameters struct {
	value    string
	children map[string]*parameters
}

func parseParameters(form url.Values) *parameters {
	root := &parameters{}
	for key, values := range form {
		at := root
		for part := range strings.SplitSeq(key, ".") {
			if at.children == nil {
				at.children = map[string]*parameters{}
			}
			if at.children[part] == nil {
				at.children[part] = &parameters{}
			}
			at = at.children[part]
		}
		at.value = values[0]
	}
	return root
}

// paging are parameters that every describe takes, and that ask for no more than is given anyway.
var paging = []string{"MaxResults", "MaxRecords"}

// decode stores the parameters in a struct. A parameter belongs to the field of its name, whatever the case; that of a list
// may be in the singular. One that belongs to no field is refused.
func (p *parameters) decode(into any) error { return p.decodeStruct(reflect.ValueOf(into).Elem(), "") }

func (p *parameters) decodeStruct(into reflect.Value, path string) error {
	for _, key := range slices.Sorted(maps.Keys(p.children)) {
		field := fieldOf(into, key)
		switch {
		case field.IsValid():
			if err := p.children[key].decodeValue(field, path+key); err != nil {
				return err
			}
		case path != "" || !slices.Contains(paging, key):
			return mistake("UnknownParameter", "The parameter %s is not recognized: the simulation does not know it", path+key)
		}
	}
	return nil
}

func fieldOf(s reflect.Value, key string) reflect.Value {
	return s.FieldByNameFunc(func(name string) bool {
		return strings.EqualFold(name, key) || strings.EqualFold(name, key+"s") || strings.EqualFold(name, key+"es")
	})
}

func (p *parameters) decodeValue(into reflect.Value, path string) error {
	// EC2 wraps what ModifyNetworkInterfaceAttribute sets: SourceDestCheck.Value=false.
	if wrapped := p.children["Value"]; wrapped != nil && len(p.children) == 1 && into.Kind() != reflect.Struct {
		p = wrapped
	}
	var err error
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		return p.decodeValue(into.Elem(), path)
	case reflect.Struct:
		return p.decodeStruct(into, path+".")
	case reflect.Slice:
		return p.decodeList(into, path)
	case reflect.String:
		into.SetString(p.value)
	case reflect.Bool:
		var b bool
		b, err = strconv.ParseBool(p.value)
		into.SetBool(b)
	case reflect.Int:
		var n int64
		n, err = strconv.ParseInt(p.value, 10, 64)
		into.SetInt(n)
	case reflect.Float64:
		var f float64
		f, err = strconv.ParseFloat(p.value, 64)
		into.SetFloat(f)
	}
	if err != nil {
		return mistake("InvalidParameterValue", "Value (%s) for parameter %s is invalid.", p.value, path)
	}
	return nil
}

// decodeList reads Name.1, Name.2 of EC2, and Name.member.1, Name.member.2 of the other services.
func (p *parameters) decodeList(into reflect.Value, path string) error {
	if member := p.children["member"]; member != nil {
		p, path = member, path+".member"
	}
	indices := map[int]*parameters{}
	for key, child := range p.children {
		n, err := strconv.Atoi(key)
		if err != nil {
			return mistake("UnknownParameter", "The parameter %s.%s is not recognized: it is no index", path, key)
		}
		indices[n] = child
	}
	for _, n := range slices.Sorted(maps.Keys(indices)) {
		element := reflect.New(into.Type().Elem()).Elem()
		if err := indices[n].decodeValue(element, path+"."+strconv.Itoa(n)); err != nil {
			return err
		}
		into.Set(reflect.Append(into, element))
	}
	return nil
}

// rename gives a parameter the name of the field that it belongs to.
func (p *parameters) rename(from, to string) {
	if child, ok := p.children[from]; ok {
		p.children[to] = child
		delete(p.children, from)
	}
}
