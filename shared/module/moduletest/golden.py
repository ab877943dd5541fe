# What the make.py of module groups share: writing cases in the form that
# package moduletest reads, and the random numbers of Go's math/rand/v2.
#
#   import sys; sys.path.insert(0, "../moduletest")
#   from golden import Cases, PCG
import json
import os
import shutil


class Cases:
    """Writes the cases of one group, in the place of those that were there."""

    def __init__(self, script):
        self.folder = os.path.join(os.path.dirname(os.path.abspath(script)), "testdata", "golden")
        shutil.rmtree(self.folder, ignore_errors=True)

    def __call__(self, module, name, params=None, inputs=None, outputs=None, **more):
        """inputs and outputs are by port; more is why, types, tolerance or error."""
        folder = os.path.join(self.folder, module.lower().replace(" ", "-"))
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, name + ".json")
        if os.path.exists(path):
            raise ValueError(path + " is written twice")
        doc = {"module": module}
        if "why" in more:
            doc["why"] = more.pop("why")
        if params:
            doc["parameters"] = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in params.items()}
        if inputs:
            doc["inputs"] = inputs
        if outputs:
            doc["outputs"] = outputs
        doc.update(more)
        with open(path, "w") as f:
            json.dump(doc, f, indent=1, ensure_ascii=False)
            f.write("\n")


def csv(frame):
    """A pandas table as the cases write it."""
    text = frame.to_csv(index=False, lineterminator="\n")
    if len(frame.columns) == 1:  # a blank line would be no record
        text = "".join(line + "\n" if line else '""\n' for line in text.split("\n")[:-1])
    return text


MASK = (1 << 64) - 1


class PCG:
    """rand.New(rand.NewPCG(seed1, seed2)): PCG-DXSM, and what Rand makes of it."""

    def __init__(self, seed1, seed2=0):
        self.state = (seed1 & MASK) << 64 | (seed2 & MASK)

    def uint64(self):
        mul = 2549297995355413924 << 64 | 4865540595714422341
        inc = 6364136223846793005 << 64 | 1442695040888963407
        self.state = (self.state * mul + inc) & (1 << 128) - 1
        hi, lo = self.state >> 64, self.state & MASK
        hi ^= hi >> 32
        hi = hi * 0xDA942042E4DD58B5 & MASK
        hi ^= hi >> 48
        return hi * (lo | 1) & MASK

    def float64(self):
        return (self.uint64() << 11 & MASK) / (1 << 11) / (1 << 53)

    def intn(self, n):
        if n & (n - 1) == 0:
            return self.uint64() & (n - 1)
        product = self.uint64() * n
        if product & MASK < n:
            limit = ((1 << 64) - n) % n
            while product & MASK < limit:
                product = self.uint64() * n
        return product >> 64

    def perm(self, n):
        p = list(range(n))
        for i in range(n - 1, 0, -1):
            j = self.intn(i + 1)
            p[i], p[j] = p[j], p[i]
        return p
