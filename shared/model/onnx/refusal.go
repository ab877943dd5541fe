package onnx

import "fmt"

// A Refusal says what of a file cannot be used, or which data a graph cannot
// answer for.
type Refusal struct {
	Node   string // the node at fault, "" where it is the file
	Reason string
}

func (r *Refusal) Error() string {
	if r.Node == "" {
		return r.Reason
	}
	return r.Node + ": " + r.Reason
}

func refuse(format string, args ...any) error {
	return &Refusal{Reason: fmt.Sprintf(format, args...)}
}

// at names the node of a refusal.
func at(n *node, err error) error {
	if err == nil {
		return nil
	}
	return &Refusal{n.title(), err.Error()}
}

// title is what a node is called: its operator, and its own name if it has one.
func (n *node) title() string {
	if n.name == "" || n.name == n.op {
		return n.op
	}
	return fmt.Sprintf("%s (%q)", n.op, n.name)
}
