package api_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"polynat/internal/sim/aws"
	"polynat/internal/sim/aws/api"
)

// fetch makes a request of the metadata service; header comes in pairs.
func fetch(t *testing.T, s *httptest.Server, method, path string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(header); at += 2 {
		r.Header.Set(header[at], header[at+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

const (
	tokenPath = "/latest/api/token"
	ttl       = "X-aws-ec2-metadata-token-ttl-seconds"
	token     = "X-aws-ec2-metadata-token"
)

func TestMetadataWantsAToken(t *testing.T) {
	s := httptest.NewServer(api.NewMetadata(aws.New(aws.Options{}), "i-0a"))
	defer s.Close()
	for _, c := range []struct {
		name, method, path string
		header             []string
		want               int
	}{
		{"no token", http.MethodGet, "/latest/meta-data/instance-id", nil, 401},
		{"another's token", http.MethodGet, "/latest/meta-data/instance-id", []string{token, "x"}, 401},
		{"no lifetime", http.MethodPut, tokenPath, nil, 400},
		{"a lifetime above six hours", http.MethodPut, tokenPath, []string{ttl, "21601"}, 400},
		{"a lifetime of nothing", http.MethodPut, tokenPath, []string{ttl, "0"}, 400},
		{"a proxy", http.MethodPut, tokenPath, []string{ttl, "60", "X-Forwarded-For", "10.0.0.1"}, 403},
		{"a token by GET", http.MethodGet, tokenPath, []string{ttl, "60"}, 405},
		{"a change", http.MethodPost, "/latest/meta-data/instance-id", nil, 405},
	} {
		if got, _ := fetch(t, s, c.method, c.path, c.header...); got != c.want {
			t.Errorf("%s: status %d, want %d", c.name, got, c.want)
		}
	}
	status, value := fetch(t, s, http.MethodPut, tokenPath, ttl, "60")
	if status != 200 || value == "" {
		t.Fatalf("token: %d %q", status, value)
	}
	if got, _ := fetch(t, s, http.MethodGet, "/latest/meta-data/no-such-thing", token, value); got != 404 {
		t.Errorf("what is not there: status %d, want 404", got)
	}
}

func TestMetadataFaults(t *testing.T) {
	m := api.NewMetadata(aws.New(aws.Options{}), "i-0a")
	m.Fault = func(r *http.Request) int {
		if r.Method == http.MethodPut {
			return http.StatusServiceUnavailable
		}
		return 0
	}
	s := httptest.NewServer(m)
	defer s.Close()
	if got, _ := fetch(t, s, http.MethodPut, tokenPath, ttl, "60"); got != 503 {
		t.Errorf("status %d, want the fault's", got)
	}
}

func TestTheSDKReadsMetadataOfAnInstance(t *testing.T) {
	cloud, id := instance(t)
	s := httptest.NewServer(api.NewMetadata(cloud, id))
	defer s.Close()
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", s.URL)
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithEC2IMDSRegion())
	if err != nil || cfg.Region != "us-east-1" {
		t.Fatalf("region %q, %v", cfg.Region, err)
	}
	credentials, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil || credentials.AccessKeyID != id || !credentials.CanExpire {
		t.Errorf("credentials %+v, %v", credentials, err)
	}
	client := imds.NewFromConfig(cfg)
	document, err := client.GetInstanceIdentityDocument(t.Context(), nil)
	if err != nil || document.InstanceID != id {
		t.Errorf("identity %+v, %v", document, err)
	}
	for _, path := range []string{"instance-id", "placement/availability-zone", "local-ipv4", "mac", "network/interfaces/macs/"} {
		out, err := client.GetMetadata(t.Context(), &imds.GetMetadataInput{Path: path})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		text, err := io.ReadAll(out.Content)
		out.Content.Close()
		if err != nil || len(text) == 0 {
			t.Errorf("%s: %q, %v", path, text, err)
		}
	}
}
