package failover

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	lambdaservice "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"polynat/internal/failover/control"
	"polynat/internal/failover/probe"
	"polynat/internal/failover/prober"
	"polynat/internal/natzone"
)

// The AWS calls that the controller makes, by service; the prober makes none.
type (
	// EC2 has those of EC2.
	EC2 = control.EC2
	// AutoScaling has those of Auto Scaling.
	AutoScaling = control.AutoScaling
	// SSM has those of the parameter store.
	SSM = control.SSM
	// SNS has those of SNS.
	SNS = control.SNS
	// Lambda has those of Lambda.
	Lambda = control.Lambda
)

// New makes the function that the environment names: exactly one of [natzone.ProberVariable] and
// [natzone.ControllerVariable] is set. Logs and metrics go to out as JSON lines.
func New(ctx context.Context, getenv func(string) string, out io.Writer) (lambda.Handler, error) {
	log := slog.New(slog.NewJSONHandler(out, nil))
	client := probe.New(probe.NewNames(probe.System), nil)
	asProber, asController := getenv(natzone.ProberVariable), getenv(natzone.ControllerVariable)
	switch {
	case asProber != "" && asController == "":
		c, err := natzone.ParseProber(asProber)
		if err != nil {
			return nil, err
		}
		p, err := prober.New(*c, client, out, log)
		if err != nil {
			return nil, err
		}
		return proberFunction{p}, nil
	case asController != "" && asProber == "":
		c, err := natzone.ParseController(asController)
		if err != nil {
			return nil, err
		}
		clients, transport, err := clients(ctx)
		if err != nil {
			return nil, err
		}
		return &controllerFunction{control.New(*c, clients, client, out, log), transport, time.Now()}, nil
	default:
		return nil, fmt.Errorf("environment: exactly one of %s and %s must be set", natzone.ProberVariable, natzone.ControllerVariable)
	}
}

type proberFunction struct{ *prober.Prober }

// Invoke implements lambda.Handler.
func (f proberFunction) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var tick natzone.Tick
	if err := json.Unmarshal(payload, &tick); err != nil {
		return nil, fmt.Errorf("tick: %w", err)
	}
	return json.Marshal(f.Run(ctx, tick))
}

type controllerFunction struct {
	*control.Controller
	transport *http.Transport
	ended     time.Time
}

// idle is how long a kept connection is trusted. While the function is frozen, nobody answers the server that closes it.
const idle = 10 * time.Second

// Invoke implements lambda.Handler.
func (f *controllerFunction) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	if time.Now().Round(0).Sub(f.ended.Round(0)) > idle { // by the wall clock: the other stands still while frozen
		f.transport.CloseIdleConnections()
	}
	defer func() { f.ended = time.Now() }()
	if err := f.Handle(ctx, payload); err != nil {
		return nil, err
	}
	return []byte("null"), nil
}

// clients of the services, for the region and with the endpoints and credentials of the environment. They try once; what
// is tried again is for package control to say.
func clients(ctx context.Context) (control.API, *http.Transport, error) {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(16)},
		TLSHandshakeTimeout:   time.Second,
		ResponseHeaderTimeout: 2 * time.Second,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       idle,
	}
	c, err := config.LoadDefaultConfig(ctx,
		config.WithHTTPClient(&http.Client{Transport: transport}),
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }))
	if err != nil {
		return control.API{}, nil, fmt.Errorf("configuration of the SDK: %w", err)
	}
	if c.Region == "" {
		return control.API{}, nil, errors.New("environment: AWS_REGION: is not set")
	}
	return control.API{
		EC2:         ec2.NewFromConfig(c),
		AutoScaling: autoscaling.NewFromConfig(c),
		SSM:         ssm.NewFromConfig(c),
		SNS:         sns.NewFromConfig(c),
		Lambda:      lambdaservice.NewFromConfig(c),
	}, transport, nil
}
