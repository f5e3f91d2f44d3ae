// Package prometheus holds alerts; its tests ask promtool whether they are right, and whether they fire.
package prometheus
