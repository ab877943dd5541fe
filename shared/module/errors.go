package module

import (
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/model"
)

// RowError is a row that a module refuses, by its number in the module's input
// table, from 0.
type RowError = model.RowError

// Errorf returns the classic module error of that number: a fault of the data
// or parameters that a module was given.
func Errorf(number int, format string, args ...any) *fault.Error {
	return fault.Module(number, format, args...)
}

// Code is the classic code of a module error number, as details carry it.
func Code(number int) string { return fault.ModuleCode(number) }
