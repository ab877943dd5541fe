/* Scores rows by another library's C API, one thread, for the engine's benchmark.
 *
 *     rival xgboost|lightgbm|onnxruntime LIBRARY MODEL ROWS COLUMNS
 *
 * ROWS is a file of float64. It prints "ready" and the answers to the first three rows, then for each line on standard
 * input, a number of rows, the nanoseconds of processor time that a row took in calls of that many: other rows in each
 * call. The libraries are opened at run time and their functions declared here, so no headers are needed. */
#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void die(const char *what, const char *why) {
  fprintf(stderr, "rival: %s: %s\n", what, why ? why : "");
  exit(1);
}

static void *lib;
static void *sym(const char *name) {
  void *f = dlsym(lib, name);
  if (!f) die(name, dlerror());
  return f;
}

static double *rows;
static float *rows32;
static long count;
static int columns, outputs;
static float answer32[100];
static double *out64;
static const float *last32;

/* XGBoost: in-place prediction from dense rows. */
static void *booster;
static int (*xgb_predict)(void *, const char *, const char *, void *, const uint64_t **, uint64_t *, const float **);
static const char *(*xgb_error)(void);

static void xgboost_score(long at, long n) {
  char array[200];
  snprintf(array, sizeof array, "{\"data\":[%llu,true],\"shape\":[%ld,%d],\"typestr\":\"<f4\",\"version\":3}",
           (unsigned long long)(uintptr_t)(rows32 + at * columns), n, columns);
  const uint64_t *shape;
  uint64_t dim;
  if (xgb_predict(booster, array, "{\"type\":0,\"iteration_begin\":0,\"iteration_end\":0,\"strict_shape\":true,\"missing\":NaN,\"cache_id\":0,\"training\":false}", NULL, &shape, &dim, &last32))
    die("predict", xgb_error());
  outputs = dim > 1 ? (int)shape[1] : 1;
}

static void xgboost_load(const char *model) {
  int (*create)(const void **, uint64_t, void **) = sym("XGBoosterCreate");
  int (*load)(void *, const char *) = sym("XGBoosterLoadModel");
  int (*set)(void *, const char *, const char *) = sym("XGBoosterSetParam");
  xgb_error = sym("XGBGetLastError");
  xgb_predict = sym("XGBoosterPredictFromDense");
  if (create(NULL, 0, &booster) || load(booster, model) || set(booster, "nthread", "1")) die(model, xgb_error());
}

/* LightGBM: the fast single-row call, and the matrix call. */
static void *fast;
static int (*lgb_row)(void *, const void *, int64_t *, double *);
static int (*lgb_matrix)(void *, const void *, int, int32_t, int32_t, int, int, int, int, const char *, int64_t *, double *);
static const char *(*lgb_error)(void);

static void lightgbm_score(long at, long n) {
  int64_t len;
  int bad = n == 1 ? lgb_row(fast, rows + at * columns, &len, out64)
                   : lgb_matrix(booster, rows + at * columns, 1, (int32_t)n, columns, 1, 0, 0, -1, "num_threads=1", &len, out64);
  if (bad) die("predict", lgb_error());
  outputs = (int)(len / n);
}

static void lightgbm_load(const char *model) {
  int (*load)(const char *, int *, void **) = sym("LGBM_BoosterCreateFromModelfile");
  int (*init)(void *, int, int, int, int, int32_t, const char *, void **) = sym("LGBM_BoosterPredictForMatSingleRowFastInit");
  lgb_error = sym("LGBM_GetLastError");
  lgb_row = sym("LGBM_BoosterPredictForMatSingleRowFast");
  lgb_matrix = sym("LGBM_BoosterPredictForMat");
  int iterations;
  if (load(model, &iterations, &booster) || init(booster, 0, 0, -1, 1, columns, "num_threads=1", &fast)) die(model, lgb_error());
}

/* ONNX Runtime: its table of functions only ever grows at the end, so places are fixed. */
enum { GetErrorMessage = 2, CreateEnv = 3, CreateSession = 7, Run = 9, CreateSessionOptions = 10, SetIntraOpNumThreads = 24,
       SetInterOpNumThreads = 25, SessionGetOutputCount = 31, SessionGetOutputName = 37, CreateTensorWithDataAsOrtValue = 49,
       GetTensorMutableData = 51, GetTensorShapeElementCount = 64, GetTensorTypeAndShape = 65, CreateCpuMemoryInfo = 69,
       ReleaseValue = 96, ReleaseTensorTypeAndShapeInfo = 99, GetAllocatorWithDefaultOptions = 78 };
static void **ort;
static void *session, *memory;
static char *output;
#define ORT(place, ...) ort_check(((void *(*)())ort[place])(__VA_ARGS__))

static void ort_check(void *status) {
  if (status) die("onnxruntime", ((const char *(*)(void *))ort[GetErrorMessage])(status));
}

static void onnxruntime_score(long at, long n) {
  int64_t shape[2] = {n, columns};
  void *in = NULL, *out = NULL;
  ORT(CreateTensorWithDataAsOrtValue, memory, rows32 + at * columns, (size_t)(n * columns * 4), shape, (size_t)2, 1, &in);
  const char *in_names[] = {"x"}, *out_names[] = {output};
  const void *ins[] = {in};
  ORT(Run, session, NULL, in_names, ins, (size_t)1, out_names, (size_t)1, &out);
  float *data;
  ORT(GetTensorMutableData, out, &data);
  if (!outputs) {
    void *info;
    size_t elements;
    ORT(GetTensorTypeAndShape, out, &info);
    ORT(GetTensorShapeElementCount, info, &elements);
    outputs = (int)(elements / n);
  }
  size_t kept = (size_t)(n * outputs);
  memcpy(answer32, data, sizeof(float) * (kept < 100 ? kept : 100));
  last32 = answer32;
  ((void (*)(void *))ort[ReleaseValue])(out);
  ((void (*)(void *))ort[ReleaseValue])(in);
}

static void onnxruntime_load(const char *model) {
  struct { void *(*get)(uint32_t); } *base = ((void *(*)(void))sym("OrtGetApiBase"))();
  ort = base->get(17);
  if (!ort) die("onnxruntime", "it has no API 17");
  void *env, *options, *allocator;
  size_t n;
  ORT(CreateEnv, 3, "rival", &env);
  ORT(CreateSessionOptions, &options);
  ORT(SetIntraOpNumThreads, options, 1);
  ORT(SetInterOpNumThreads, options, 1);
  ORT(CreateSession, env, model, options, &session);
  ORT(CreateCpuMemoryInfo, 1, 0, &memory);
  ORT(GetAllocatorWithDefaultOptions, &allocator);
  ORT(SessionGetOutputCount, session, &n);
  ORT(SessionGetOutputName, session, n - 1, allocator, &output);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 6) die("usage", "rival KIND LIBRARY MODEL ROWS COLUMNS");
  columns = atoi(argv[5]);
  FILE *f = fopen(argv[4], "rb");
  if (!f) die(argv[4], "cannot be read");
  fseek(f, 0, SEEK_END);
  long values = ftell(f) / 8;
  rewind(f);
  count = values / columns;
  rows = malloc(values * 8);
  rows32 = malloc(values * 4);
  out64 = malloc(values * 8);
  if (fread(rows, 8, values, f) != (size_t)values) die(argv[4], "is short");
  for (long i = 0; i < values; i++) rows32[i] = (float)rows[i];
  if (!(lib = dlopen(argv[2], RTLD_NOW))) die(argv[2], dlerror());

  void (*score)(long, long);
  if (!strcmp(argv[1], "xgboost")) xgboost_load(argv[3]), score = xgboost_score;
  else if (!strcmp(argv[1], "lightgbm")) lightgbm_load(argv[3]), score = lightgbm_score;
  else if (!strcmp(argv[1], "onnxruntime")) onnxruntime_load(argv[3]), score = onnxruntime_score;
  else die(argv[1], "unknown library");

  score(0, 3);
  printf("ready");
  for (int i = 0; i < 3 * outputs; i++) printf(" %.9g", last32 ? last32[i] : out64[i]);
  printf("\n");
  fflush(stdout);

  char line[40];
  long at = 0;
  while (fgets(line, sizeof line, stdin)) {
    long n = atol(line), done = 0;
    double start = now(), spent;
    do {
      if (at + n > count) at = 0;
      score(at, n);
      at += n;
      done += n;
      spent = now() - start;
    } while (spent < 2e8);
    printf("%.1f\n", spent / done);
    fflush(stdout);
  }
  return 0;
}
