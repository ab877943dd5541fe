"""Go's random numbers in Python: math/rand/v2 of Go 1.22 and later, with its PCG.

For scripts that make golden cases of modules that draw at random.
"""

M64 = (1 << 64) - 1
M128 = (1 << 128) - 1


class PCG:
    """rand.New(rand.NewPCG(seed1, seed2))"""

    def __init__(self, seed1, seed2):
        self.state = ((seed1 & M64) << 64) | (seed2 & M64)

    def uint64(self):
        mul = (2549297995355413924 << 64) | 4865540595714422341
        inc = (6364136223846793005 << 64) | 1442695040888963407
        self.state = (self.state * mul + inc) & M128
        hi, lo = self.state >> 64, self.state & M64
        hi ^= hi >> 32
        hi = hi * 0xDA942042E4DD58B5 & M64
        hi ^= hi >> 48
        return hi * (lo | 1) & M64

    def intn(self, n):
        """IntN, for n below 2**32."""
        if n & (n - 1) == 0:
            return self.uint64() & (n - 1)
        prod = (self.uint64() >> 32) * n
        low = prod & 0xFFFFFFFF
        if low < n:
            thresh = (1 << 32) % n
            while low < thresh:
                prod = (self.uint64() >> 32) * n
                low = prod & 0xFFFFFFFF
        return prod >> 32

    def shuffle(self, items):
        for i in range(len(items) - 1, 0, -1):
            j = self.intn(i + 1)
            items[i], items[j] = items[j], items[i]

    def perm(self, n):
        p = list(range(n))
        self.shuffle(p)
        return p
