// Package manifests holds no code: its tests build the Kubernetes manifests in deploy/k8s with kustomize and read them
// as Kubernetes does, and the compose file as compose does.
package manifests
