package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"polynat/internal/lambdaruntime"
	"polynat/internal/sim/aws"
)

// ssm is Systems Manager, which speaks AWS JSON 1.1: the operation is in a header, its input and output are JSON.
type ssm struct{ cloud *aws.Cloud }

func (ssm) name() string { return "ssm" }

func (s ssm) prepare(r *http.Request, body []byte) (string, func(context.Context) (any, error), error) {
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	run, ok := map[string]func([]byte) (any, error){"GetParameter": s.getParameter, "PutParameter": s.putParameter}[action]
	if !ok {
		return action, nil, mistake("UnknownOperationException", "%s is not simulated", action)
	}
	return action, func(context.Context) (any, error) { return run(body) }, nil
}

func (s ssm) getParameter(body []byte) (any, error) {
	var in struct {
		Name           string
		WithDecryption bool
	}
	if err := decodeJSON(body, &in); err != nil {
		return nil, err
	}
	p, err := s.cloud.GetParameter(in.Name)
	if err != nil {
		return nil, err
	}
	type parameter struct {
		Name, Type, Value, DataType, ARN string
		Version                          int
		LastModifiedDate                 float64 // seconds
	}
	return struct{ Parameter parameter }{parameter{
		Name: p.Name, Type: p.Type, Value: p.Value, DataType: "text", ARN: p.ARN, Version: p.Version,
		LastModifiedDate: float64(p.LastModified.UnixMilli()) / 1000,
	}}, nil
}

func (s ssm) putParameter(body []byte) (any, error) {
	var in aws.PutParameterInput
	if err := decodeJSON(body, &in); err != nil {
		return nil, err
	}
	version, err := s.cloud.PutParameter(in)
	return struct {
		Version int
		Tier    string
	}{version, "Standard"}, err
}

func (ssm) answer(w http.ResponseWriter, _, _ string, result any) {
	writeJSON(w, "application/x-amz-json-1.1", http.StatusOK, result)
}

func (ssm) refuse(w http.ResponseWriter, _ string, e *aws.Error) {
	writeJSON(w, "application/x-amz-json-1.1", e.Status, struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}{e.Code, e.Message})
}

// functionService is Lambda, which speaks REST.
type functionService struct{ functions Invoker }

func (functionService) name() string { return "lambda" }

const functionsPath = "/2015-03-31/functions/"

func (s functionService) prepare(r *http.Request, body []byte) (string, func(context.Context) (any, error), error) {
	escaped, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.EscapedPath(), functionsPath), "/invocations")
	name, err := url.PathUnescape(escaped)
	if r.Method != http.MethodPost || !ok || err != nil || !strings.HasPrefix(r.URL.Path, functionsPath) {
		return r.Method + " " + r.URL.Path, nil, mistake("UnknownOperationException", "%s %s is not simulated", r.Method, r.URL.Path)
	}
	name = functionName(name)
	return "Invoke", func(ctx context.Context) (any, error) {
		switch kind := r.Header.Get("X-Amz-Invocation-Type"); kind {
		case "", "RequestResponse":
			return s.functions.Invoke(ctx, name, body)
		case "Event":
			_, err := s.functions.InvokeAsync(name, body)
			return nil, err
		default:
			return nil, mistake("InvalidParameterValueException", "invocation type %s is not simulated", kind)
		}
	}, nil
}

// functionName is the name in what may be a name, a partial or a whole ARN, with or without a qualifier.
func functionName(s string) string {
	parts := strings.Split(s, ":")
	for at, part := range parts {
		if part == "function" && at+1 < len(parts) {
			return parts[at+1]
		}
	}
	return parts[0]
}

func (functionService) answer(w http.ResponseWriter, _, _ string, result any) {
	r, ok := result.(lambdaruntime.Response)
	if !ok {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amz-Executed-Version", "$LATEST")
	if r.FunctionError != "" {
		w.Header().Set("X-Amz-Function-Error", r.FunctionError)
	}
	_, _ = w.Write(r.Payload)
}

func (functionService) refuse(w http.ResponseWriter, _ string, e *aws.Error) {
	blame := "User"
	if e.Status >= http.StatusInternalServerError {
		blame = "Service"
	}
	w.Header().Set("X-Amzn-Errortype", e.Code)
	writeJSON(w, "application/json", e.Status, struct {
		Type    string `json:"Type"`
		Message string `json:"Message"`
	}{blame, e.Message})
}

func decodeJSON(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return mistake("SerializationException", "%v", err)
	}
	return nil
}

func writeJSON(w http.ResponseWriter, contentType string, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // of a type that cannot be: a test would see it
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
