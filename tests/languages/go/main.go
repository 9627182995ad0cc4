// SPDX-License-Identifier: Apache-2.0

// A function in Go on AWS's own library: what it does is what its payload says.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type payload struct {
	Do        string `json:"do"`
	Name      string `json:"name"`
	Bytes     int    `json:"bytes"`
	Directory string `json:"directory"`
}

func handle(ctx context.Context, event payload) (any, error) {
	switch event.Do {
	case "greet":
		invocation, _ := lambdacontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		os.Stdout.WriteString("greeting " + event.Name + "\n")
		return map[string]any{
			"greeting": "hello, " + event.Name,
			"request":  invocation.AwsRequestID,
			"left":     time.Until(deadline).Milliseconds(),
		}, nil
	case "refuse":
		return nil, errors.New("nobody is called " + event.Name)
	case "panic":
		panic("out of luck")
	case "sleep":
		time.Sleep(time.Hour)
	case "large":
		return map[string]string{"text": strings.Repeat("x", event.Bytes)}, nil
	case "stream":
		return io.MultiReader(
			strings.NewReader(`{"text": "`),
			strings.NewReader(strings.Repeat("x", event.Bytes)),
			strings.NewReader(`"}`)), nil
	case "write":
		return map[string]string{"file": "report.txt"}, os.WriteFile(event.Directory+"/report.txt", []byte("written by Go"), 0o644)
	}
	return nil, errors.New("unknown: " + event.Do)
}

func main() {
	lambda.Start(handle)
}
