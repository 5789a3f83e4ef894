package main

import (
	"fmt"
	"os"
	"path"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// chartFolder is the folder of the chart, relative to the root.
const chartFolder = "helm"

// rendered is what Helm makes of the chart.
type rendered struct {
	objects []object
	hooks   []object // objects of hooks
	notes   string
}

// examineChart renders the chart, with the values of a file if one follows a plus, and returns its
// objects, without hooks, and faults.
func examineChart(files filesys.FileSystem, directory string) ([]object, []error) {
	values := map[string]any{}
	if _, file, added := strings.Cut(directory, "+"); added {
		text, err := files.ReadFile(path.Join("/", chartFolder, file))
		if err != nil {
			return nil, []error{err}
		}
		if values, err = chartutil.ReadValues(text); err != nil {
			return nil, []error{fmt.Errorf("%s: %w", file, err)}
		}
	}
	result, err := renderChart(files, values)
	if err != nil {
		return nil, []error{err}
	}
	return result.objects, rules(result.objects)
}

// renderChart renders the chart as "helm install node-local-dns" would.
func renderChart(files filesys.FileSystem, values map[string]any) (rendered, error) {
	var result rendered
	content, err := chartFiles(files)
	if err != nil {
		return result, err
	}
	chart, err := loader.LoadFiles(content)
	if err != nil {
		return result, err
	}
	options := chartutil.ReleaseOptions{Name: "node-local-dns", Namespace: "kube-system", IsInstall: true}
	all, err := chartutil.ToRenderValues(chart, values, options, chartutil.DefaultCapabilities)
	if err != nil {
		return result, err
	}
	texts, err := engine.Render(chart, all)
	if err != nil {
		return result, err
	}
	notes := path.Join(chart.Name(), "templates/NOTES.txt")
	result.notes = texts[notes]
	delete(texts, notes)
	return result, result.sort(texts)
}

// sort decodes the rendered templates.
func (result *rendered) sort(texts map[string]string) error {
	hooks, manifests, err := releaseutil.SortManifests(texts, nil, releaseutil.InstallOrder)
	if err != nil {
		return err
	}
	for _, one := range manifests {
		value, err := decodeText([]byte(one.Content + "\n"))
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", one.Name, err, one.Content)
		}
		result.objects = append(result.objects, object{origin: one.Name, value: value})
	}
	for _, one := range hooks {
		value, err := decodeText([]byte(one.Manifest + "\n"))
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", one.Path, err, one.Manifest)
		}
		result.hooks = append(result.hooks, object{origin: one.Path, value: value})
	}
	return nil
}

// chartFiles are the files under the folder of the chart.
func chartFiles(files filesys.FileSystem) ([]*loader.BufferedFile, error) {
	var content []*loader.BufferedFile
	root := path.Join("/", chartFolder)
	err := files.Walk(root, func(name string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		data, err := files.ReadFile(name)
		content = append(content, &loader.BufferedFile{Name: strings.TrimPrefix(name, root+"/"), Data: data})
		return err
	})
	return content, err
}
