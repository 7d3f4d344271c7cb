package api

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/url"

	"polynat/internal/sim/aws"
)

// query is a service that speaks the Query protocol: parameters in a form, answers in XML.
type query struct {
	service    string
	namespace  string
	cloud      *aws.Cloud
	operations map[string]operation
	// flat is EC2's dialect: no element for the result, and an error document of its own.
	flat bool
}

// operation carries a request out. Its result is marshaled by encoding/xml; nil for an empty one.
type operation func(*aws.Cloud, *parameters) (any, error)

// ask is an operation that returns something: encode makes it an element.
func ask[In, Out any](call func(*aws.Cloud, In) (Out, error), encode func(Out) any) operation {
	return func(c *aws.Cloud, p *parameters) (any, error) {
		var in In
		if err := p.decode(&in); err != nil {
			return nil, err
		}
		out, err := call(c, in)
		if err != nil {
			return nil, err
		}
		return encode(out), nil
	}
}

// do is an operation that returns nothing; result is what it answers.
func do[In any](call func(*aws.Cloud, In) error, result any) operation {
	return func(c *aws.Cloud, p *parameters) (any, error) {
		var in In
		if err := p.decode(&in); err != nil {
			return nil, err
		}
		return result, call(c, in)
	}
}

func (q query) name() string { return q.service }

func (q query) prepare(_ *http.Request, body []byte) (string, func(context.Context) (any, error), error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return "", nil, mistake("MalformedQueryString", "%v", err)
	}
	action := form.Get("Action")
	form.Del("Action")
	form.Del("Version")
	run, ok := q.operations[action]
	if !ok {
		return action, nil, mistake("InvalidAction", "The action %s is not valid for this web service: it is not simulated.", action)
	}
	return action, func(context.Context) (any, error) { return run(q.cloud, parseParameters(form)) }, nil
}

func (q query) answer(w http.ResponseWriter, requestID, action string, result any) {
	writeXML(w, http.StatusOK, response{query: q, requestID: requestID, action: action, result: result})
}

func (q query) refuse(w http.ResponseWriter, requestID string, e *aws.Error) {
	if q.flat {
		writeXML(w, e.Status, struct {
			XMLName   xml.Name `xml:"Response"`
			Code      string   `xml:"Errors>Error>Code"`
			Message   string   `xml:"Errors>Error>Message"`
			RequestID string   `xml:"RequestID"`
		}{Code: e.Code, Message: e.Message, RequestID: requestID})
		return
	}
	blame := "Sender"
	if e.Status >= http.StatusInternalServerError {
		blame = "Receiver"
	}
	writeXML(w, e.Status, struct {
		XMLName   xml.Name `xml:"ErrorResponse"`
		Namespace string   `xml:"xmlns,attr"`
		Type      string   `xml:"Error>Type"`
		Code      string   `xml:"Error>Code"`
		Message   string   `xml:"Error>Message"`
		RequestID string   `xml:"RequestId"`
	}{Namespace: q.namespace, Type: blame, Code: e.Code, Message: e.Message, RequestID: requestID})
}

// response is the document of an answer:
//
//	<XResponse xmlns="…"><requestId/>members</XResponse>                                  EC2
//	<XResponse xmlns="…"><XResult>members</XResult><ResponseMetadata/></XResponse>         the others
type response struct {
	query
	requestID, action string
	result            any
}

// MarshalXML implements xml.Marshaler: the names of the elements depend on the action.
func (r response) MarshalXML(e *xml.Encoder, _ xml.StartElement) error {
	outer := element(r.action + "Response")
	outer.Attr = []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: r.namespace}}
	if err := e.EncodeToken(outer); err != nil {
		return err
	}
	if r.flat {
		if err := e.EncodeElement(r.requestID, element("requestId")); err != nil {
			return err
		}
		for _, m := range members(r.result) {
			if err := e.EncodeElement(m.value, element(m.name)); err != nil {
				return err
			}
		}
		return e.EncodeToken(outer.End())
	}
	if r.result != nil {
		if err := e.EncodeElement(r.result, element(r.action+"Result")); err != nil {
			return err
		}
	}
	metadata := struct {
		RequestID string `xml:"RequestId"`
	}{r.requestID}
	if err := e.EncodeElement(metadata, element("ResponseMetadata")); err != nil {
		return err
	}
	return e.EncodeToken(outer.End())
}

func element(name string) xml.StartElement { return xml.StartElement{Name: xml.Name{Local: name}} }

func writeXML(w http.ResponseWriter, status int, document any) {
	body, err := xml.Marshal(document)
	if err != nil { // of a type that cannot be: a test would see it
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(xml.Header))
	_, _ = w.Write(body)
}

// member is one element of an answer of EC2.
type member struct {
	name  string
	value any
}

// members are those of an answer of EC2: one, or several.
func members(result any) []member {
	switch r := result.(type) {
	case member:
		return []member{r}
	case []member:
		return r
	}
	return nil
}
