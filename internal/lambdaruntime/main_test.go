package lambdaruntime_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// bootstrap is set in the processes that the service starts in these tests: the test binary is the function, built on the
// runtime that functions in Go are built on.
const bootstrap = "LAMBDARUNTIME_TEST_BOOTSTRAP"

type request struct {
	Do    string `json:"do"`
	Value string `json:"value"`
}

type answer struct {
	Value  string            `json:"value"`
	PID    int               `json:"pid"`
	ARN    string            `json:"arn"`
	ID     string            `json:"id"`
	Env    map[string]string `json:"env"`
	Budget float64           `json:"budget"` // seconds left
}

func TestMain(m *testing.M) {
	if os.Getenv(bootstrap) == "" {
		os.Exit(m.Run())
	}
	lambda.Start(handle)
}

func handle(ctx context.Context, r request) (any, error) {
	switch r.Do {
	case "fail":
		return nil, errors.New(r.Value)
	case "exit":
		fmt.Println("about to exit")
		os.Exit(7)
	case "hang":
		select {}
	case "wait": // until the test lets it go
		connection, err := net.Dial("tcp", r.Value)
		if err != nil {
			return nil, err
		}
		defer connection.Close()
		if _, err := io.ReadAll(connection); err != nil {
			return nil, err
		}
	}
	fmt.Println("handled", r.Value)
	lc, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	return answer{
		Value: r.Value, PID: os.Getpid(), ARN: lc.InvokedFunctionArn, ID: lc.AwsRequestID, Budget: budget(deadline),
		Env: map[string]string{"AWS_REGION": os.Getenv("AWS_REGION"), "AWS_LAMBDA_FUNCTION_NAME": lambdacontext.FunctionName, "OWN": os.Getenv("OWN")},
	}, nil
}
