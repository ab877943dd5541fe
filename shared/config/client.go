package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Client holds the settings of the command line, which speaks to a server as
// anybody may. They have nothing to do with those of the server.
type Client struct {
	Server    string // PORTICO_SERVER
	Workspace string // PORTICO_WORKSPACE
	Service   string // PORTICO_SERVICE
	Endpoint  string // PORTICO_ENDPOINT
	Key       Secret // PORTICO_KEY
	Token     Secret // PORTICO_TOKEN
}

// ClientSetting documents one setting of the command line.
type ClientSetting struct {
	Name, Meaning, Example string

	set func(c *Client, value string)
}

// ClientSettings lists the settings of the command line.
func ClientSettings() []ClientSetting { return append([]ClientSetting(nil), clientSettings...) }

var clientSettings = []ClientSetting{
	{
		Name: "PORTICO_SERVER", Example: "https://ml.example.org", Meaning: "Address of the server.",
		set: func(c *Client, v string) { c.Server = v },
	},
	{
		Name: "PORTICO_WORKSPACE", Example: "telecom", Meaning: "Name or id of the workspace. Not needed by who has a role in one only.",
		set: func(c *Client, v string) { c.Workspace = v },
	},
	{
		Name: "PORTICO_SERVICE", Example: "churn", Meaning: "Name or id of the web service.",
		set: func(c *Client, v string) { c.Service = v },
	},
	{
		Name: "PORTICO_ENDPOINT", Example: "default", Meaning: "Name of the service's endpoint; or, where there is a key and no token, its address, up to /services/{id}.",
		set: func(c *Client, v string) { c.Endpoint = v },
	},
	{
		Name: "PORTICO_KEY", Example: "pQ…==", Meaning: "Key of the endpoint. With a token that may read keys, none is needed.",
		set: func(c *Client, v string) { c.Key = NewSecret(v) },
	},
	{
		Name: "PORTICO_TOKEN", Example: "eyJ…", Meaning: "Token of a person or program with a role in the workspace.",
		set: func(c *Client, v string) { c.Token = NewSecret(v) },
	},
}

// LoadClient reads the settings of the command line: from a file of lines
// NAME=VALUE, and over that from getenv. The file may be given by name; else it
// is where PORTICO_CLIENT_FILE says, or portico/client in the user's folder of
// settings, where it need not be.
func LoadClient(getenv func(string) string, file string) (Client, error) {
	var c Client
	needed := true
	if file == "" {
		file = getenv("PORTICO_CLIENT_FILE")
	}
	if file == "" {
		needed = false
		if dir, err := os.UserConfigDir(); err == nil {
			file = filepath.Join(dir, "portico", "client")
		}
	}
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil && (needed || !errors.Is(err, fs.ErrNotExist)) {
			return c, err
		}
		if err := c.read(file, string(text)); err != nil {
			return c, err
		}
	}
	for _, s := range clientSettings {
		if v := strings.TrimSpace(getenv(s.Name)); v != "" {
			s.set(&c, v)
		}
	}
	return c, nil
}

// read takes the settings of a file. Errors name the line and no value.
func (c *Client) read(file, text string) error {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return fmt.Errorf("%s, line %d: it is not NAME=VALUE", file, n)
		}
		known := false
		for _, s := range clientSettings {
			if s.Name == strings.TrimSpace(name) {
				s.set(c, strings.TrimSpace(value))
				known = true
			}
		}
		if !known {
			return fmt.Errorf("%s, line %d: there is no setting %q", file, n, strings.TrimSpace(name))
		}
	}
	return nil
}

// ClientFromEnvironment loads the settings of the command line.
func ClientFromEnvironment(file string) (Client, error) { return LoadClient(os.Getenv, file) }
