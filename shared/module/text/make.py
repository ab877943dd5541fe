# Goldens of the palette group Text Analytics.
#
#   scikit-learn 1.9.1 counts n-grams and hashes, numpy 2.4.6 and scipy 1.17.1
#   find topics; what Preprocess Text gives is written out by hand.
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "moduletest"))
from golden import Cases

write = Cases(__file__)


def case(module, name, inputs=None, outputs=None, params=None, **more):
    write(module, name, params, inputs, outputs, **more)


import math

import numpy as np
from golden import PCG
from scipy.special import digamma
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.utils import murmurhash3_32

reviews = [
    "great taste great price", "the taste was bad", "great price and good taste", "bad coffee bad price", "coffee with a good taste é", "", "great coffee",
    "not good, not bad: average_taste", "an extraordinarilylongwordthatneverends great taste", "naïve price of coffee",
]
ids = ["r%d" % i for i in range(len(reviews))]


def quote(t):
    return '"' + t.replace('"', '""') + '"' if any(c in t for c in ',"\n') else t


def csv(columns):
    rows = zip(*[[v if isinstance(v, str) else repr(float(v)) for v in c] for c in columns.values()])
    return "".join(",".join(map(quote, r)) + "\n" for r in [list(columns)] + [list(r) for r in rows])


source = {"id": ids, "text": reviews}
dataset = {"Dataset": csv(source)}

# ---- Feature Hashing
F = "Feature Hashing"


def hashed(texts, name, bits, n):
    analyze = CountVectorizer(lowercase=False, token_pattern=r"(?u)\b\w+\b", ngram_range=(1, n)).build_analyzer()
    out = np.zeros((len(texts), 2**bits))
    for r, t in enumerate(texts):
        for g in analyze(t):
            out[r, murmurhash3_32(g.encode(), 0, positive=True) % 2**bits] += 1
    return {"%s_HashingFeature_%d" % (name, i): out[:, i] for i in range(2**bits)}


target = {"Target columns": "text"}
case(F, "default", {"Dataset": csv({"id": ids[:2], "text": reviews[:2]})}, {"Transformed dataset": csv({"id": ids[:2], "text": reviews[:2], **hashed(reviews[:2], "text", 10, 2)})}, target)
for bits, n in [(4, 2), (4, 1), (3, 3)]:
    case(F, "bits-%d-grams-%d" % (bits, n), dataset, {"Transformed dataset": csv({**source, **hashed(reviews, "text", bits, n)})}, {**target, "Hashing bitsize": bits, "N-grams": n})
two = {"a": ["x y", "z"], "b": ["y", "x z"]}
case(F, "two-columns", {"Dataset": csv(two)}, {"Transformed dataset": csv({**two, **hashed(two["a"], "a", 2, 1), **hashed(two["b"], "b", 2, 1)})},
     {"Target columns": "a,b", "Hashing bitsize": 2, "N-grams": 1})
case(F, "number", {"Dataset": "a\n1\n"}, params={"Target columns": "a"}, error='Error 0017: column "a" is Int32, not text')
case(F, "empty", {"Dataset": "a\n"}, {"Transformed dataset": "a,a_HashingFeature_0,a_HashingFeature_1\n"}, {"Target columns": "a", "Hashing bitsize": 1})

# ---- Extract N-Gram Features from Text
X = "Extract N-Gram Features from Text"
N = len(reviews)


def counter(n=1, lo=3, hi=25, **more):
    return CountVectorizer(lowercase=False, token_pattern=r"(?u)\b\w{%d,%d}\b" % (lo, hi), ngram_range=(1, n), **more)


def learn(texts, n=1, lo=3, hi=25, least=5, most=1.0):
    """DF of the n-grams of texts, by n-gram with _ between its words."""
    v = counter(n, lo, hi)
    m = v.fit_transform(texts)
    df = dict(zip(v.get_feature_names_out(), np.asarray((m > 0).sum(axis=0)).ravel()))
    return {g.replace(" ", "_"): int(d) for g, d in df.items() if d >= least and d <= most * len(texts)}


def byte_order(df):
    return sorted(df, key=lambda g: g.encode())


def weights(texts, df, idf, weight, n=1, lo=3, hi=25, normalize=False):
    analyze = counter(n, lo, hi).build_analyzer()
    order = byte_order(df)
    out = np.zeros((len(texts), len(order)))
    for r, t in enumerate(texts):
        # scikit-learn gives the words and then the pairs; what counts here is how often.
        grams = [g.replace(" ", "_") for g in analyze(t)]
        for i, g in enumerate(order):
            c = grams.count(g)
            if c:
                out[r, i] = {"Binary Weight": 1, "TF Weight": c, "IDF Weight": idf[g], "TF-IDF Weight": c * idf[g]}[weight]
        if normalize and (out[r] ** 2).sum() > 0:
            out[r] /= math.sqrt((out[r] ** 2).sum())
    return out, order


def expect(name, params, df, idf, weight="Binary Weight", vocabulary=None, **options):
    out, order = weights(reviews, df, idf, weight, **options)
    results = {**source, **{"text.[%s]" % g: out[:, i] for i, g in enumerate(order)}}
    table = {"Id": [str(i) for i in range(len(order))], "NGram": order, "DF": [str(df[g]) for g in order], "IDF": [idf[g] for g in order]}
    inputs = dict(dataset)
    if vocabulary:
        inputs["Input vocabulary"] = vocabulary
    case(X, name, inputs, {"Results dataset": csv(results), "Result vocabulary": csv(table)}, {"Text column": "text", **params}, tolerance=1e-9)


def logs(df, docs=N):
    return {g: math.log(docs / d) for g, d in df.items()}


least = {"Minimum n-gram document absolute frequency": 2}
base = learn(reviews, least=2)
expect("default", {}, learn(reviews), logs(learn(reviews)))
expect("create", {**least, "Vocabulary mode": "Create"}, base, logs(base))
expect("bigrams", {**least, "N-grams size": 2}, learn(reviews, 2, least=2), logs(learn(reviews, 2, least=2)), n=2)
for w in ["Binary Weight", "TF Weight", "IDF Weight", "TF-IDF Weight"]:
    slug = w.split()[0].lower()
    expect(slug, {**least, "Weighting function": w}, base, logs(base), w)
    expect(slug + "-normalized", {**least, "Weighting function": w, "Normalize n-gram feature vectors": "true"}, base, logs(base), w, normalize=True)
expect("not-normalized", {**least, "Weighting function": "TF Weight", "Normalize n-gram feature vectors": "false"}, base, logs(base), "TF Weight")
short = learn(reviews, lo=1, least=1)
expect("short-words", {"Minimum n-gram document absolute frequency": 1, "Minimum word length": 1}, short, logs(short), lo=1)
four = learn(reviews, hi=5, least=1)
expect("no-long-words", {"Minimum n-gram document absolute frequency": 1, "Maximum word length": 5}, four, logs(four), hi=5)
rare = learn(reviews, least=1, most=0.3)
expect("ratio", {"Minimum n-gram document absolute frequency": 1, "Maximum n-gram document ratio": 0.3}, rare, logs(rare))
given = {"great": (6, math.log(20 / 6)), "taste": (4, math.log(20 / 4)), "tea": (3, math.log(20 / 3))}
text = "Id,NGram,DF,IDF\n" + "".join("%d,%s,%d,%r\n" % (i, g, d, v) for i, (g, (d, v)) in enumerate(given.items()))
gdf, gidf = {g: d for g, (d, v) in given.items()}, {g: v for g, (d, v) in given.items()}
expect("read-only", {"Vocabulary mode": "ReadOnly", "Weighting function": "TF-IDF Weight"}, gdf, gidf, "TF-IDF Weight", text)
anew = {g: d for g, d in learn(reviews, least=1).items() if g in given}
expect("update", {"Vocabulary mode": "Update", "Weighting function": "TF-IDF Weight"}, anew, logs(anew), "TF-IDF Weight", text)
both = {g: gdf.get(g, 0) + base.get(g, 0) for g in {**gdf, **base}}
expect("merge", {**least, "Vocabulary mode": "Merge", "Weighting function": "TF-IDF Weight"}, both, logs(both, N + 20), "TF-IDF Weight", text)


def textrank(grams):
    nodes = sorted(set(grams), key=lambda g: g.encode())
    edges = [(a, b) for a, b in zip(grams, grams[1:]) if a != b]
    degree = {g: sum((g == a) + (g == b) for a, b in edges) for g in nodes}
    rank = {g: 1.0 for g in nodes}
    for _ in range(30):
        new = {g: 0.15 for g in nodes}
        for a, b in edges:
            new[a] += 0.85 * rank[b] / degree[b]
            new[b] += 0.85 * rank[a] / degree[a]
        rank = new
    return rank


order = byte_order(base)
ranked = np.zeros((N, len(order)))
for r, t in enumerate(reviews):
    for g, v in textrank([w for w in counter().build_analyzer()(t) if w in base]).items():
        ranked[r, order.index(g)] = v
case(X, "graph", dataset, {"Results dataset": csv({**source, **{"text.[%s]" % g: ranked[:, i] for i, g in enumerate(order)}})},
     {"Text column": "text", **least, "Weighting function": "Graph Weight"}, tolerance=1e-9)
case(X, "transformation", dataset, {"N-gram transformation": {"apply": "text\ngreat tea\n\"\"\n", "gives": "text,text.[coffee],text.[great],text.[price],text.[taste]\ngreat tea,0,1,0,0\n,0,0,0,0\n"}},
     {"Text column": "text", "Minimum n-gram document absolute frequency": 4})
case(X, "no-vocabulary", dataset, params={"Text column": "text", "Vocabulary mode": "ReadOnly"}, error="Error 0003: vocabulary mode ReadOnly needs an input vocabulary")
case(X, "bad-vocabulary", {**dataset, "Input vocabulary": "NGram,DF,IDF\na,0,1\n"}, params={"Text column": "text", "Vocabulary mode": "ReadOnly"}, error="Error 0018: row 1")
case(X, "lengths", dataset, params={"Text column": "text", "Minimum word length": 30}, error="Error 0008")
case(X, "no-column", dataset, params={"Text column": "txt"}, error='Error 0001: column "txt" is not in the table; the nearest is "text"')
case(X, "empty", {"Dataset": "text\n"}, {"Results dataset": "text\n", "Result vocabulary": "Id,NGram,DF,IDF\n"}, {"Text column": "text"})

# ---- Latent Dirichlet Allocation
L = "Latent Dirichlet Allocation"


def lda(texts, k=5, n=2, alpha=0.01, rho=0.01, rounds=25, least=2, seed=0):
    v = CountVectorizer(lowercase=False, token_pattern=r"(?u)\b\w+\b", ngram_range=(1, n))
    m = v.fit_transform(texts).toarray().astype(float)
    names = [g.replace(" ", "_") for g in v.get_feature_names_out()]
    keep = [i for i in range(len(names)) if (m[:, i] > 0).sum() >= least]
    keep.sort(key=lambda i: names[i].encode())
    m, names = m[:, keep], [names[i] for i in keep]
    rng = PCG(seed, 0)
    lam = np.array([[0.5 + rng.float64() for _ in names] for _ in range(k)])

    def infer(counts, beta):
        gamma = np.ones(k)
        theta = np.exp(digamma(gamma) - digamma(gamma.sum()))
        at = counts > 0
        phi = theta @ beta[:, at] + 1e-100
        for _ in range(100):
            new = alpha + theta * (beta[:, at] @ (counts[at] / phi))
            change = np.abs(new - gamma).sum()
            gamma = new
            theta = np.exp(digamma(gamma) - digamma(gamma.sum()))
            phi = theta @ beta[:, at] + 1e-100
            if change < 1e-3 * k:
                break
        stats = np.zeros_like(beta)
        stats[:, at] = np.outer(theta, counts[at] / phi)
        return gamma, stats

    for _ in range(rounds):
        beta = np.exp(digamma(lam) - digamma(lam.sum(axis=1))[:, None])
        stats = sum(infer(row, beta)[1] for row in m)
        lam = rho + stats * beta
    beta = np.exp(digamma(lam) - digamma(lam.sum(axis=1))[:, None])
    return np.array([infer(row, beta)[0] for row in m]), lam, names


def topics(name, params, normalize=True, texts=reviews, columns=source, inputs=dataset, **options):
    gamma, lam, names = lda(texts, **options)
    if normalize:
        gamma, lam = gamma / gamma.sum(axis=1)[:, None], lam / lam.sum(axis=1)[:, None]
    k = len(lam)
    case(L, name, inputs, {"Transformed dataset": csv({**columns, **{"Topic %d" % (t + 1): gamma[:, t] for t in range(k)}}),
                           "Feature topic matrix": csv({"Feature": names, **{"Topic %d" % (t + 1): lam[t] for t in range(k)}})}, {"Target columns": "text", **params}, tolerance=1e-7)


topics("default", {})
topics("two", {"Number of topics to model": 2}, k=2)
topics("unigrams", {"N-grams": 1}, n=1)
topics("raw", {"Normalize": "false"}, normalize=False)
topics("normalized", {"Normalize": "true", "Number of topics to model": 3}, k=3)
topics("rho", {"Rho parameter": 0.5}, rho=0.5)
topics("alpha", {"Alpha parameter": 0.5}, alpha=0.5)
topics("rounds", {"Number of training iterations": 2, "Alpha parameter": 0.5}, rounds=2, alpha=0.5)
topics("rare", {"Minimum n-gram document absolute frequency": 1}, least=1)
topics("seed", {"Random seed": 5}, seed=5)
case(L, "no-words", {"Dataset": "text\na\nb\n"}, params={"Target columns": "text"}, error="Error 0021")
case(L, "empty", {"Dataset": "text\n"}, params={"Target columns": "text"}, error="Error 0021")
case(L, "number", {"Dataset": "text\n1\n"}, params={"Target columns": "text"}, error="Error 0017")

# ---- Preprocess Text
P = "Preprocess Text"
off = {n: "false" for n in ["Remove stop words", "Use lemmatization", "Detect sentences", "Normalize case to lowercase", "Remove numbers", "Remove special characters",
                            "Remove duplicate characters", "Remove email addresses", "Remove URLs", "Expand verb contractions", "Normalize backslashes to slashes",
                            "Split tokens on special characters"]}
long = "I won't BUY the 2 cats' food (too salty!!!). Mail bob@shop.com or see https://shop.com/x?y=1 now. Dr. Who's well-known C:\\temp is sooooo cool"


def prep(name, text, want, params=None, **more):
    case(P, name, {"Dataset": csv({"t": [text, ""], "n": ["1", "2"]})}, {"Results dataset": csv({"t": [text, ""], "n": ["1", "2"], "Preprocessed t": [want, ""]})},
         {"Text column to clean": "t", **(params or {})}, **more)


prep("default", long, "buy cat food salty ||| mail see now ||| dr well know c temp soo cool",
     why="stop words: I, will, not, the, too, or, who, is; 's and the address and the URL go; known becomes know, sooooo soo")
prep("nothing", long, long, off)
one = {
    "stop": ("Remove stop words", "This is the very BEST of all teas", "BEST teas"),
    "lemma": ("Use lemmatization", "Cats were running Boxes", "Cat be run Box"),
    "sentences": ("Detect sentences", "Good tea. Mr. X said so! really? Yes, e.g. this.", "Good tea. ||| Mr. X said so! really? ||| Yes, e.g. this."),
    "lower": ("Normalize case to lowercase", "ÉCLAIR And TEA", "éclair and tea"),
    "numbers": ("Remove numbers", "1 b2b 3.5 1,200 -7% x9", "b2b x9"),
    "special": ("Remove special characters", "a-b c! ?? d_e é'é #f", "ab c de éé f"),
    "duplicates": ("Remove duplicate characters", "soooo goood wow --- book", "soo good wow -- book"),
    "emails": ("Remove email addresses", "to bob.x+y@shop.co.uk, <a@b.c>! not@home @x", "to , <>! not@home @x"),
    "urls": ("Remove URLs", "see (http://x.y/z), WWW.a.b and ftp://c d", "see ( and d"),
    "expand": ("Expand verb contractions", "I'm sure they don’t, we've won't bob's y'all'd", "i am sure they don’t, we've won't bob's y'all'd"),
    "slashes": ("Normalize backslashes to slashes", "a\\b \\", "a/b /"),
    "split": ("Split tokens on special characters", "a-b c!! don't 1,2,3 x_y", "a - b c !! don't 1,2,3 x _ y"),
}
one["expand"] = ("Expand verb contractions", "I'm sure they don’t we've bob's rock'n'roll it'd", "i am sure they do not we have bob rock'n'roll it would")
for slug, (param, text, want) in one.items():
    prep(slug, text, want, {**off, param: "true"})
    prep(slug + "-off", text, " ".join(text.split()), off)
rare = ["nothing to replace"] * 15  # a match costs memory, which no other row may


def regex(name, text, want, params):
    case(P, name, {"Dataset": csv({"t": [text] + rare})}, {"Results dataset": csv({"t": [text] + rare, "Preprocessed t": [want] + rare})}, {"Text column to clean": "t", **off, **params})


regex("regex", "order 66 of 2024", "order N of N", {"Custom regular expression": "[0-9]+", "Custom replacement string": "N"})
regex("regex-group", "order 66 of x", "66 order of x", {"Custom regular expression": "(order) ([0-9]+)", "Custom replacement string": "$2 $1"})
regex("regex-removes", "a12b", "ab", {"Custom regular expression": "[0-9]"})
prep("all-gone", "the of 12 !!", "")
prep("unicode", "Señor 日本語 ﬁne", "señor 日本語 ﬁne")
case(P, "bad-regex", {"Dataset": "t\nx\n"}, params={"Text column to clean": "t", "Custom regular expression": "("}, error="Error 0002: the regular expression cannot be read")
case(P, "number", {"Dataset": "t\n1\n"}, params={"Text column to clean": "t"}, error='Error 0017: column "t" is Int32, not text')
case(P, "two-columns", {"Dataset": "t,s\nx,y\n"}, params={"Text column to clean": "t,s"}, error="Error 0022")
case(P, "taken", {"Dataset": {"csv": "t,Preprocessed t\nCats,x\n", "schema": [{"name": "t", "categorical": True}]}}, {"Results dataset": "t,Preprocessed t,Preprocessed t (2)\nCats,x,cat\n"},
     {"Text column to clean": "t"}, types={"Results dataset": ["String[Cats]", "String", "String"]})
case(P, "empty", {"Dataset": "t\n"}, {"Results dataset": "t,Preprocessed t\n"}, {"Text column to clean": "t"})
