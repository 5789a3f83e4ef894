package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// object is one rendered object and the file it came from, relative to the root.
type object struct {
	origin string
	value  runtime.Object
}

// load copies the files under root into memory, so that rendering cannot read elsewhere or write.
func load(root string) (filesys.FileSystem, error) {
	memory := filesys.MakeFsInMemory()
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		return memory.WriteFile(path.Join("/", filepath.ToSlash(relative)), content)
	})
	return memory, err
}

// examine renders one directory, with a component if one follows a plus, and returns its objects
// and faults.
func examine(files filesys.FileSystem, directory string) ([]object, []error) {
	if directory == chartFolder || strings.HasPrefix(directory, chartFolder+"+") {
		return examineChart(files, directory)
	}
	resources, err := render(files, directory)
	if err != nil {
		return nil, []error{err}
	}
	var objects []object
	var faults []error
	for _, one := range resources {
		decoded, err := decode(one)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		objects = append(objects, decoded)
	}
	return objects, append(faults, rules(objects)...)
}

// render runs Kustomize on a directory, with the origin file annotated in each object.
func render(files filesys.FileSystem, directory string) ([]*resource.Resource, error) {
	directory, component, added := strings.Cut(directory, "+")
	entry := "resources: [" + path.Join("..", directory) + "]\nbuildMetadata: [originAnnotations]\n"
	if added {
		entry += "components: [" + path.Join("..", component) + "]\n"
	}
	if err := files.WriteFile("/render/kustomization.yaml", []byte(entry)); err != nil {
		return nil, err
	}
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, "/render")
	if err != nil {
		return nil, err
	}
	return rendered.Resources(), nil
}

// decode decodes a rendered object strictly: unknown or repeated fields and wrong types are errors.
func decode(one *resource.Resource) (object, error) {
	subject := one.GetKind() + " " + one.GetName()
	origin, err := one.GetOrigin()
	if err != nil {
		return object{}, fmt.Errorf("%s: %w", subject, err)
	}
	file := strings.TrimPrefix(path.Join(origin.Path, origin.ConfiguredIn), "../")
	annotations := one.GetAnnotations()
	delete(annotations, "config.kubernetes.io/origin")
	if err := one.SetAnnotations(annotations); err != nil {
		return object{}, fmt.Errorf("%s: %s: %w", file, subject, err)
	}
	text, err := one.AsYAML()
	if err != nil {
		return object{}, fmt.Errorf("%s: %s: %w", file, subject, err)
	}
	value, err := decodeText(text)
	if err != nil {
		return object{}, fmt.Errorf("%s: %s: %w", file, subject, err)
	}
	return object{origin: file, value: value}, nil
}

// decodeText decodes the YAML of one object strictly.
func decodeText(text []byte) (runtime.Object, error) {
	var tree map[string]any
	if err := yaml.UnmarshalStrict(text, &tree); err != nil {
		return nil, err
	}
	if fault := quantities(tree, nil); fault != nil {
		return nil, fault
	}
	json, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, err
	}
	value, _, err := codecs.UniversalDeserializer().Decode(json, nil, nil)
	return value, err
}

// quantities parses all requests and limits: the decoder does not name the field of an invalid one.
func quantities(value any, at *field.Path) error {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			if err := quantities(inner, at.Child(key)); err != nil {
				return err
			}
			amounts, is := inner.(map[string]any)
			if !is || key != "requests" && key != "limits" {
				continue
			}
			for name, amount := range amounts {
				if _, err := apiresource.ParseQuantity(fmt.Sprint(amount)); err != nil {
					return field.Invalid(at.Child(key, name), amount, err.Error())
				}
			}
		}
	case []any:
		for i, inner := range value {
			if err := quantities(inner, at.Index(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// codecs has the API groups of the manifests; objects of other groups are rejected.
var codecs = func() serializer.CodecFactory {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme, monitoringv1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict)
}()
