package configs

import (
	"flag"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the tables of settings and example.env anew")
	os.Exit(m.Run())
}
