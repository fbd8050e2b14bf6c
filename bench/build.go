package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// build compiles the programs that the benchmark starts into a folder, and finds those that it does not compile. The
// binary of Cardea is compiled if none is given.
func build(ctx context.Context, dir, cardeaBinary string, chosen []kind) (elsewhere map[string]string, err error) {
	if _, err := command(ctx, ".", "go", "build", "-buildvcs=false", "-o", dir+"/", "./peer/..."); err != nil {
		return nil, err
	}
	if elsewhere = map[string]string{"cardea": cardeaBinary}; cardeaBinary == "" {
		file := filepath.Join(dir, "cardea")
		if _, err := command(ctx, "..", "go", "build", "-buildvcs=false", "-o", file, "./cmd/cardea"); err != nil {
			return nil, err
		}
	}
	if slices.ContainsFunc(chosen, func(k kind) bool { return k.name == envoy }) {
		elsewhere["envoy"], err = command(ctx, "..", "tools/envoy")
	}
	return elsewhere, err
}

// command runs a command in a folder and returns what it prints.
func command(ctx context.Context, dir, name string, args ...string) (string, error) {
	var failure strings.Builder
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stderr = dir, &failure
	output, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, &failure)
	}
	return strings.TrimSpace(string(output)), nil
}
