//go:build !amd64

package trees

const hasWide = false

func walkWide(*wideTrees, *byte, *[64]float32) { panic("trees: no vector instructions") }

func walkDeep(*wideTrees, *byte, *[64]float32) { panic("trees: no vector instructions") }

func rankColumn(*cutTable, *float64, int, *byte) uint64 { panic("trees: no vector instructions") }

func rankRow(*rowTable, int, *float64, *byte) { panic("trees: no vector instructions") }

func walkRow(*wideTrees, *byte, int, float32) float32 { panic("trees: no vector instructions") }
