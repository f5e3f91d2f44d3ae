// Package k8s holds example manifests; its tests hold them to what the relay needs.
package k8s
