// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Command protogen writes the Go code of the project's protobuf messages and services. It compiles every .proto file under
// internal/ and hands the result to protoc-gen-go and, where services are declared, to protoc-gen-go-grpc, whose output it
// puts beside the source; no protoc is needed, and all tools are pinned by the go.mod of this module. From the root of the
// repository:
//
//	go run -C tools ./protogen
//
//	internal/**/*.proto --protocompile--> descriptors --protoc-gen-go-------> internal/**/*.pb.go
//	                                           +-------protoc-gen-go-grpc--> internal/**/*_grpc.pb.go
//
// Files import each other by their path from the root of the repository, and each names its Go package by the option
// go_package. A .pb.go file whose source is gone is removed, so a run leaves exactly what the sources say.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

const (
	root     = ".." // of the repository, seen from the tools module
	searched = "internal"
)

func main() {
	if err := generate(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

// generate compiles all sources and brings the generated files up to date.
func generate(ctx context.Context) error {
	sources, err := list(".proto")
	if err != nil {
		return err
	}
	written := map[string]bool{}
	if len(sources) > 0 {
		request, err := compile(ctx, sources)
		if err != nil {
			return err
		}
		if err := runAndWrite(ctx, "protoc-gen-go", request, written); err != nil {
			return err
		}
		request.FileToGenerate = withServices(request)
		if err := runAndWrite(ctx, "protoc-gen-go-grpc", request, written); err != nil {
			return err
		}
	}
	return removeStale(written)
}

// withServices returns the sources that declare services.
func withServices(request *pluginpb.CodeGeneratorRequest) []string {
	var names []string
	for _, file := range request.GetProtoFile() {
		if len(file.GetService()) > 0 && slices.Contains(request.GetFileToGenerate(), file.GetName()) {
			names = append(names, file.GetName())
		}
	}
	return names
}

// runAndWrite runs a plugin, if there is something to generate, and writes its files.
func runAndWrite(
	ctx context.Context, plugin string, request *pluginpb.CodeGeneratorRequest, written map[string]bool,
) error {
	if len(request.GetFileToGenerate()) == 0 {
		return nil
	}
	response, err := runPlugin(ctx, plugin, request)
	if err != nil {
		return err
	}
	for _, file := range response.GetFile() {
		if err := write(file.GetName(), file.GetContent()); err != nil {
			return err
		}
		written[file.GetName()] = true
	}
	return nil
}

// list returns the files under the searched folder with the given suffix, by path from the root, in order.
func list(suffix string) ([]string, error) {
	var files []string
	err := fs.WalkDir(os.DirFS(root), searched, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, suffix) {
			files = append(files, path)
		}
		return err
	})
	return files, err
}

// compile makes the request that protoc would send to a plugin: the descriptors of the sources and of all they import.
func compile(ctx context.Context, sources []string) (*pluginpb.CodeGeneratorRequest, error) {
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{root}}),
		SourceInfoMode: protocompile.SourceInfoStandard, // comments reach the generated code
	}
	files, err := compiler.Compile(ctx, sources...)
	if err != nil {
		return nil, err
	}
	request := &pluginpb.CodeGeneratorRequest{
		FileToGenerate: sources,
		Parameter:      new("paths=source_relative"),
	}
	seen := map[string]bool{}
	for _, file := range files {
		request.ProtoFile = appendFile(request.ProtoFile, seen, file)
	}
	return request, nil
}

// appendFile appends a file behind what it imports, each once: a plugin wants the descriptors in this order.
func appendFile(
	to []*descriptorpb.FileDescriptorProto, seen map[string]bool, file protoreflect.FileDescriptor,
) []*descriptorpb.FileDescriptorProto {
	if seen[file.Path()] {
		return to
	}
	seen[file.Path()] = true
	for i := range file.Imports().Len() {
		to = appendFile(to, seen, file.Imports().Get(i).FileDescriptor)
	}
	return append(to, protoutil.ProtoFromFileDescriptor(file))
}

// runPlugin runs a plugin of the version that is pinned.
func runPlugin(
	ctx context.Context, name string, request *pluginpb.CodeGeneratorRequest,
) (*pluginpb.CodeGeneratorResponse, error) {
	in, err := proto.Marshal(request)
	if err != nil {
		return nil, err
	}
	plugin := exec.CommandContext(ctx, "go", "tool", name)
	plugin.Stdin, plugin.Stderr = bytes.NewReader(in), os.Stderr
	out, err := plugin.Output()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", name, err)
	}
	response := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(out, response); err != nil {
		return nil, fmt.Errorf("read the response of %s: %w", name, err)
	}
	if response.Error != nil {
		return nil, errors.New(response.GetError())
	}
	return response, nil
}

// write replaces a file, and leaves it alone, its time too, when nothing changed.
func write(name, content string) error {
	path := filepath.Join(root, filepath.FromSlash(name))
	if old, err := os.ReadFile(path); err == nil && string(old) == content {
		return nil
	}
	fmt.Println("protogen:", name)
	return os.WriteFile(path, []byte(content), 0o644)
}

// removeStale removes the generated files that this run did not write.
func removeStale(written map[string]bool) error {
	generated, err := list(".pb.go")
	if err != nil {
		return err
	}
	stale := slices.DeleteFunc(generated, func(name string) bool { return written[name] })
	for _, name := range stale {
		fmt.Println("protogen: remove", name)
		if err := os.Remove(filepath.Join(root, filepath.FromSlash(name))); err != nil {
			return err
		}
	}
	return nil
}
