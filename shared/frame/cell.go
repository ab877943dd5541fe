package frame

import "math"

var nan = math.NaN()
