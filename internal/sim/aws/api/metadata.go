package api

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"polynat/internal/sim/aws"
)

// Metadata is the instance metadata service of one instance, version 2 only. Create with [NewMetadata].
type Metadata struct {
	// Fault, when set, may answer a request with a status instead, such as 503; 0 lets it pass. Set it before use.
	Fault func(r *http.Request) (status int)

	cloud    *aws.Cloud
	instance string
	now      func() time.Time

	mu     sync.Mutex
	tokens map[string]time.Time // until when they are valid
}

// NewMetadata serves the metadata of an instance. What there is says [aws.Cloud.Metadata]; credentials of the instance's role
// are added, whose access key id is the id of the instance.
func NewMetadata(cloud *aws.Cloud, instanceID string) *Metadata {
	return &Metadata{cloud: cloud, instance: instanceID, now: time.Now, tokens: map[string]time.Time{}}
}

const (
	ttlHeader    = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	tokenHeader  = "X-Aws-Ec2-Metadata-Token"
	maxTokenTTL  = 21600 // seconds
	credentials  = "meta-data/iam/security-credentials"
	credentialed = 6 * time.Hour // how long credentials are valid
)

// ServeHTTP implements http.Handler.
func (m *Metadata) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if m.Fault != nil {
		if status := m.Fault(r); status != 0 {
			w.WriteHeader(status)
			return
		}
	}
	if r.URL.Path == "/latest/api/token" {
		m.serveToken(w, r)
		return
	}
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case !m.valid(r.Header.Get(tokenHeader)):
		w.WriteHeader(http.StatusUnauthorized)
	default:
		text, ok := m.text(strings.TrimPrefix(r.URL.Path, "/latest/"))
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte(text))
	}
}

// serveToken hands out a token. A request that a proxy forwarded is refused: it may come from elsewhere.
func (m *Metadata) serveToken(w http.ResponseWriter, r *http.Request) {
	ttl, err := strconv.Atoi(r.Header.Get(ttlHeader))
	switch {
	case r.Method != http.MethodPut:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	case r.Header.Get("X-Forwarded-For") != "":
		w.WriteHeader(http.StatusForbidden)
		return
	case err != nil || ttl < 1 || ttl > maxTokenTTL:
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	token := hex.EncodeToString(b[:])
	m.mu.Lock()
	m.tokens[token] = m.now().Add(time.Duration(ttl) * time.Second)
	m.mu.Unlock()
	w.Header().Set(ttlHeader, strconv.Itoa(ttl))
	_, _ = w.Write([]byte(token))
}

func (m *Metadata) valid(token string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	until, ok := m.tokens[token]
	if ok && !m.now().Before(until) {
		delete(m.tokens, token)
		return false
	}
	return ok
}

func (m *Metadata) text(name string) (string, bool) {
	if text, ok := m.cloud.Metadata(m.instance, name); ok {
		return text, true
	}
	role := m.role()
	switch name = strings.TrimSuffix(name, "/"); {
	case role == "":
		return "", false
	case name == credentials:
		return role, true
	case name == credentials+"/"+role:
		now := m.now().UTC().Truncate(time.Second)
		document, err := json.Marshal(map[string]string{
			"Code": "Success", "Type": "AWS-HMAC",
			"AccessKeyId": m.instance, "SecretAccessKey": "simulated", "Token": "simulated",
			"LastUpdated": now.Format(time.RFC3339), "Expiration": now.Add(credentialed).Format(time.RFC3339),
		})
		return string(document), err == nil
	}
	return "", false
}

// role is the last part of the instance profile's ARN: profile and role share a name.
func (m *Metadata) role() string {
	for _, i := range m.cloud.Instances() {
		if i.InstanceID == m.instance && i.InstanceProfileARN != "" {
			return path.Base(i.InstanceProfileARN)
		}
	}
	return ""
}
