package gateway_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestEveryReasonIsDocumented holds the reasons in the source against docs/errors.md, in both directions, with their codes.
func TestEveryReasonIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{} // The column of gRPC codes, by reason.
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z0-9_]+)` \\|[^|]*\\|([^|]*)\\|").FindAllStringSubmatch(string(text), -1) {
		documented[row[1]] = row[2]
	}
	given := reasons(t, ".", "../policies", "../discovery")
	if len(given) < 20 {
		t.Fatalf("found %d reasons only", len(given))
	}
	for reason, codes := range given {
		column, ok := documented[reason]
		if !ok {
			t.Errorf("%s has no line in docs/errors.md", reason)
		}
		for code := range codes {
			if !strings.Contains(column, code) {
				t.Errorf("%s is given with %s, and its line says %s", reason, code, column)
			}
		}
	}
	for reason := range documented {
		if given[reason] == nil {
			t.Errorf("docs/errors.md explains %s, which nothing gives", reason)
		}
	}
}

// reasons returns the reasons that the packages below some folders give to Refuse and refuseAs, with the codes that stand
// beside them.
func reasons(t *testing.T, roots ...string) map[string]map[string]bool {
	t.Helper()
	all := map[string]map[string]bool{}
	for _, root := range roots {
		if err := filepath.WalkDir(root, func(dir string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() && entry.Name() != "testdata" {
				reasonsOf(t, dir, all)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// reasonsOf adds those of one package.
func reasonsOf(t *testing.T, dir string, all map[string]map[string]bool) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string]string{}
	var calls []*ast.CallExpr
	for _, name := range slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, "_test.go") }) {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(constants, stringConstants(file))
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == "refuseAs" { // It hands on what it is given.
				continue
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				if c, ok := n.(*ast.CallExpr); ok && slices.Contains([]string{"call.Refuse", "Refuse", "refuseAs"}, calledName(c)) {
					calls = append(calls, c)
				}
				return true
			})
		}
	}
	for _, c := range calls {
		reason, ok := stringOf(c.Args[1], constants)
		if !ok {
			t.Errorf("%s: a reason that is no constant: %v", dir, c.Args[1])
			continue
		}
		if all[reason] == nil {
			all[reason] = map[string]bool{}
		}
		if code, ok := c.Args[0].(*ast.SelectorExpr); ok && calledName(c) != "refuseAs" {
			all[reason][upperSnake(code.Sel.Name)] = true
		}
	}
}

func calledName(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
	}
	return ""
}

func stringConstants(file *ast.File) map[string]string {
	constants := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Names) == len(spec.Values) {
			for i, name := range spec.Names {
				if value, ok := stringOf(spec.Values[i], nil); ok {
					constants[name.Name] = value
				}
			}
		}
		return true
	})
	return constants
}

func stringOf(e ast.Expr, constants map[string]string) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.Ident:
		text, ok := constants[e.Name]
		return text, ok
	}
	return "", false
}

// upperSnake writes ResourceExhausted as RESOURCE_EXHAUSTED.
func upperSnake(name string) string {
	return strings.ToUpper(regexp.MustCompile("([a-z])([A-Z])").ReplaceAllString(name, "${1}_$2"))
}
