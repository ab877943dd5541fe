// Package service holds the nouns of a published web service: ids, ports,
// parameters, the deployment manifest, endpoints and promotions. It does no
// I/O and knows no storage.
package service

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/portico-ml/portico/shared/frame"
)

// NewID returns 16 random bytes as 32 lower-case hex digits: the form of every
// id Portico makes.
func NewID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return hex.EncodeToString(b[:])
}

// ValidID reports whether s has the form of an id.
func ValidID(s string) bool {
	if len(s) != 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Names of the two endpoints every service has.
const (
	Staging = "staging"
	Default = "default" // production
)

// PortKind is what flows through a port.
type PortKind string

const (
	Dataset        PortKind = "Dataset"
	UntrainedModel PortKind = "UntrainedModel"
	TrainedModel   PortKind = "TrainedModel"
	Transformation PortKind = "Transformation"
)

// Port is a named input or output of a web service with its pinned schema.
type Port struct {
	Name   string       `json:"name"`
	Kind   PortKind     `json:"kind,omitempty"` // absent = Dataset
	Schema frame.Schema `json:"schema,omitempty"`
}

// ParamType is the type of a global parameter.
type ParamType string

const (
	ParamString  ParamType = "String"
	ParamInt     ParamType = "Int"
	ParamFloat   ParamType = "Float"
	ParamDouble  ParamType = "Double"
	ParamBoolean ParamType = "Boolean"
	ParamEnum    ParamType = "Enumerated"
	ParamSecret  ParamType = "Credential"
)

// Parameter is a global (web service) parameter.
type Parameter struct {
	Name        string    `json:"name"`
	Type        ParamType `json:"type"`
	Description string    `json:"description,omitempty"`
	// Default, where set, makes the parameter optional. Never set on a secret.
	Default *string  `json:"default,omitempty"`
	Options []string `json:"options,omitempty"` // Enumerated
}

// Asset is an artifact a deployment needs, under the name its graph uses.
type Asset struct {
	Name   string   `json:"name"`
	Kind   PortKind `json:"kind"`
	Digest string   `json:"digest"` // SHA-256, hex
	// Resource is the name under which clients update it, as in
	// "churn model [trained model]"; empty where they cannot.
	Resource string `json:"resource,omitempty"`
}

// Sample is a recorded call: one table-form request and its answer's text.
type Sample struct {
	Request json.RawMessage `json:"request"`
	Answer  json.RawMessage `json:"answer"`
}

// Pin is the schema of the table at an output port of a node.
type Pin struct {
	Node   string       `json:"node"`
	Port   int          `json:"port,omitempty"` // counted from 0
	Schema frame.Schema `json:"schema"`
}

// Manifest is a deployment: everything that decides its answers, and nothing
// else (no times, ids or descriptions). It is encoded once, at publish; its
// identity is the SHA-256 of those bytes.
type Manifest struct {
	Format  int             `json:"format"` // 1
	Graph   json.RawMessage `json:"graph"`  // the pruned graph, package graph's own form
	Assets  []Asset         `json:"assets,omitempty"`
	Inputs  []Port          `json:"inputs,omitempty"`
	Outputs []Port          `json:"outputs,omitempty"`
	// Pins are the schemas of the tables that flow inside the graph, as they
	// flowed in the run that was published.
	Pins []Pin `json:"pins,omitempty"`
	// Parameters in the order the experiment declares them.
	Parameters []Parameter `json:"parameters,omitempty"`
	// Whole says that the rows of a call cannot be scored apart: a module needs
	// all of them together, or an output has nothing to do with them. RRS takes
	// the rows of the request, BES runs the job whole.
	Whole bool `json:"whole,omitempty"`
	// BatchOnly says that an output is not a dataset: no RRS.
	BatchOnly bool     `json:"batchOnly,omitempty"`
	Samples   []Sample `json:"samples,omitempty"`
}

// WebService is what is published from an experiment.
type WebService struct {
	Workspace    string
	ID           string
	Name         string
	Description  string
	ExperimentID string
	Created      time.Time
}

// ThrottleLevel bounds an endpoint's concurrent calls.
type ThrottleLevel string

const (
	ThrottleLow  ThrottleLevel = "Low"  // 4
	ThrottleHigh ThrottleLevel = "High" // 1–200, default 20
)

// Settings are what may be changed on an endpoint without a deployment.
type Settings struct {
	Description        string        `json:"description,omitempty"`
	ThrottleLevel      ThrottleLevel `json:"throttleLevel,omitempty"`
	MaxConcurrentCalls int           `json:"maxConcurrentCalls,omitempty"` // 0 = the level's default
	PreventUpdate      bool          `json:"preventUpdate,omitempty"`      // refuses PATCH with a scoring key
	SampleData         bool          `json:"sampleData,omitempty"`         // real sample rows in swagger
	TraceLevel         string        `json:"traceLevel,omitempty"`         // None, Error, All
	RowErrors          string        `json:"rowErrors,omitempty"`          // BES default: fail or collect
}

// Limit returns the number of calls the settings allow at once.
func (s Settings) Limit() int {
	switch {
	case s.MaxConcurrentCalls > 0:
		return s.MaxConcurrentCalls
	case s.ThrottleLevel == ThrottleLow:
		return 4
	}
	return 20
}

// Endpoint is an address of a web service, its settings, and what it serves.
type Endpoint struct {
	Workspace string
	Service   string
	ID        string
	Name      string
	Digest    string // deployment it points at; "" = nothing yet
	Seq       int64  // of the last move in its history; rises with every move
	Position  int64  // the move it stands at: Seq, or an older one after a rollback
	Settings  Settings
	Created   time.Time
	Updated   time.Time
}

// PromotionState is where a promotion stands.
type PromotionState string

const (
	Requested  PromotionState = "Requested"
	Approved   PromotionState = "Approved"
	Rejected   PromotionState = "Rejected"
	Withdrawn  PromotionState = "Withdrawn"
	Superseded PromotionState = "Superseded"
	Expired    PromotionState = "Expired"
)
