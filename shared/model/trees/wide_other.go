//go:build !amd64

package trees

const hasWide = false

const noVectors = "trees: no vector instructions"

func walkWide(*perfectTrees, *byte, *[64]float32) { panic(noVectors) }

func walkDeep(*perfectTrees, *byte, *[64]float32) { panic(noVectors) }

func walkRow(*perfectTrees, *byte, int, float32) float32 { panic(noVectors) }

func askTests(*ask, int, *byte, *byte, *byte) { panic(noVectors) }

func addFew32(*asked, int, *uint32, *byte, *[64]float32) { panic(noVectors) }

func addFew64(*asked, int, *uint32, *byte, *[64]float64) { panic(noVectors) }

func addMany32(*asked, int, *uint32, *byte, *[64]float32) { panic(noVectors) }

func addMany64(*asked, int, *uint32, *byte, *[64]float64) { panic(noVectors) }

func row32of32(*fewTrees, *byte, int, float32) float32 { panic(noVectors) }

func row64of32(*fewTrees, *byte, int, float64) float64 { panic(noVectors) }

func row32of64(*fewTrees, *byte, int, float32) float32 { panic(noVectors) }

func row64of64(*fewTrees, *byte, int, float64) float64 { panic(noVectors) }

func rankColumn32(*cutTable, *float64, int, *byte) uint64 { panic(noVectors) }

func rankColumn64(*cutTable, *float64, int, *byte) uint64 { panic(noVectors) }

func rankRow32(*rowTable, int, *float64, *byte) { panic(noVectors) }

func rankRow64(*rowTable, int, *float64, *byte) { panic(noVectors) }
