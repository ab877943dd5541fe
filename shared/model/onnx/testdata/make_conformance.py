"""Packs ONNX's own node tests into conformance.tar.gz.

They are files of Debian 12's libonnx-testdata 1.12.0 (https://onnx.ai, Apache-2.0):
    apt-get install libonnx-testdata && python3 make_conformance.py
A case is kept where its tensors are of types that the executor has and its files are small;
cases.txt in the archive lists all there were.
"""
import gzip, io, os, tarfile
import onnx

ROOT = "/usr/include/onnx/backend/test/data/node"
TYPES = {1, 6, 7, 8, 9, 11}
# Families of operators that no converter of tabular models emits.
SKIP = ("conv", "pool", "lstm", "gru", "rnn", "resize", "upsample", "roialign", "grid", "image", "bitshift", "qlinear",
        "quantize", "loop", "scan", "sequence", "if_", "optional", "sce_", "nllloss", "training", "momentum", "adam",
        "adagrad", "nonmax", "unique", "scatter", "det", "dft", "stft", "window", "melweight", "layer_normalization",
        "blackman", "hann", "hamming", "depth", "space", "instancenorm", "lrn", "mvn", "maxunpool", "bernoulli", "random",
        "identity_opt", "identity_seq", "split_to", "cast_FLOAT16", "softmax_cross")


def fits(path):
    m = onnx.load(path)
    for v in list(m.graph.input) + list(m.graph.output):
        if not v.type.HasField("tensor_type") or v.type.tensor_type.elem_type not in TYPES:
            return False
    return True


def main():
    names = sorted(os.listdir(ROOT))
    kept = []
    for n in names:
        if any(s in n for s in SKIP):
            continue
        files = [os.path.join(d, f) for d, _, fs in os.walk(os.path.join(ROOT, n)) for f in fs]
        if sum(map(os.path.getsize, files)) > 30_000 or not fits(os.path.join(ROOT, n, "model.onnx")):
            continue
        kept.append((n, sorted(files)))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        def add(name, data):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        add("cases.txt", ("\n".join(names) + "\n").encode())
        for n, files in kept:
            for f in files:
                add(os.path.relpath(f, ROOT), open(f, "rb").read())
    with gzip.GzipFile("conformance.tar.gz", "wb", 9, mtime=0) as z:
        z.write(out.getvalue())
    print(len(kept), "of", len(names), os.path.getsize("conformance.tar.gz"), "bytes")


main()
