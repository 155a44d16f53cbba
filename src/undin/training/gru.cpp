// One direction of a GRU, forward and backward; see gru.py, which compiles and calls this file.
//
//   r = sigmoid(W_ir x_t + b_ir + W_hr h + b_hr)      m = W_hn h + b_hn
//   z = sigmoid(W_iz x_t + b_iz + W_hz h + b_hz)      n = tanh(W_in x_t + b_in + r m)      h <- n + z (h - n)
//
// Sequences are independent: a block of rows runs through all its frames while its gates stay in the cache. A row of
// gates is (n, r, z, m), so that both products are one block of columns: of x the first three, of h the last three.

#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>

#include <cstdint>
#include <cstring>
#include <vector>

// Of the BLAS that torch was built with.
extern "C" void sgemm_(const char*, const char*, const int*, const int*, const int*, const float*, const float*,
                       const int*, const float*, const int*, const float*, float*, const int*);

namespace {

constexpr int64_t ROWS = 32;  // of a block: two tiles of AMX; its gates fill half of a first-level cache

// bfloat16, for products; kept as its bits, which compilers turn into vector code.
struct Half {
  uint16_t bits;
};

inline float load(float x) { return x; }
inline float load(Half x) {
  const uint32_t u = uint32_t(x.bits) << 16;
  float y;
  std::memcpy(&y, &u, 4);
  return y;
}

inline void store(float& y, float x) { y = x; }
inline void store(Half& y, float x) {
  uint32_t u;
  std::memcpy(&u, &x, 4);
  y.bits = uint16_t((u + 0x7fff + ((u >> 16) & 1)) >> 16);  // to the nearest, ties to even
}

// Gates in -1 ... 1: bfloat16 is too coarse for z (1 - z) near 1, fixed point is not.
inline float load_gate(float x) { return x; }
inline float load_gate(Half x) { return float(int16_t(x.bits)) * (1 / 32767.0f); }
inline void store_gate(float& y, float x) { y = x; }
inline void store_gate(Half& y, float x) { y.bits = uint16_t(int32_t(x * 32767 + 32768.5f) - 32768); }

// e^x = 2^k e^f with f in -ln 2 / 2 ... ln 2 / 2; error 2e-7; NaN stays NaN.
inline float exp_of(float x) {
  x = x > 87 ? 87 : x;
  x = x < -87 ? -87 : x;
  const float shifted = x * 1.44269504f + 12582912.0f, k = shifted - 12582912.0f;  // rounds to an integer
  const float f = (x - k * 0.693359375f) + k * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * f + 1.3981999507e-3f;
  p = p * f + 8.3334519073e-3f;
  p = p * f + 4.1665795894e-2f;
  p = p * f + 1.6666665459e-1f;
  p = p * f + 0.5f;
  p = p * f * f + f + 1;
  uint32_t exponent;
  std::memcpy(&exponent, &shifted, 4);
  const uint32_t bits = (exponent << 23) + (127u << 23);
  float scale;
  std::memcpy(&scale, &bits, 4);
  return p * scale;
}

inline float sigmoid(float x) { return 1 / (1 + exp_of(-x)); }
inline float tanh_of(float x) { return 1 - 2 / (1 + exp_of(2 * x)); }

// C (+)= A B with A (m, k) and B (k, n); B of Half has its rows interleaved in pairs.
void product(int64_t m, int64_t n, int64_t k, int64_t lda, int64_t ldc, bool add, const float* A, const float* B,
             float* C) {
  const int rows = m, columns = n, inner = k, a = lda, c = ldc;
  const float one = 1, beta = add;
  sgemm_("N", "N", &columns, &rows, &inner, &one, B, &columns, A, &a, &beta, C, &c);  // C' = B' A': columns first
}
void product(int64_t m, int64_t n, int64_t k, int64_t lda, int64_t ldc, bool add, const Half* A, const Half* B,
             float* C) {
  at::native::cpublas::brgemm(m, n, k, lda, n, ldc, add, reinterpret_cast<const at::BFloat16*>(A),
                              reinterpret_cast<const at::BFloat16*>(B), C);
}
void release(const float*) {}
void release(const Half*) { at::native::cpublas::brgemm_release(); }

struct Sizes {
  int64_t frames, rows, inputs, hidden, stride;  // stride: from one row of the output to the next
  bool reverse;

  int64_t frame(int64_t step) const { return reverse ? frames - 1 - step : step; }
};

template <typename T>
void forward(Sizes s, const T* x, const T* h0, const T* Wi, const T* Wh, const float* b, T* y, T* saved) {
  const int64_t H = s.hidden;
  at::parallel_for(0, (s.rows + ROWS - 1) / ROWS, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> gates(ROWS * 4 * H), state(ROWS * H);
    for (int64_t first = begin * ROWS; first < std::min(end * ROWS, s.rows); first += ROWS) {
      const int64_t rows = std::min(ROWS, s.rows - first);
      for (int64_t i = 0; i < rows * H; i++) state[i] = load(h0[first * H + i]);
      for (int64_t step = 0; step < s.frames; step++) {
        const int64_t row = s.frame(step) * s.rows + first;
        const T* past = step ? y + (s.frame(step - 1) * s.rows + first) * s.stride : h0 + first * H;
        product(rows, 3 * H, s.inputs, s.inputs, 4 * H, false, x + row * s.inputs, Wi, gates.data());
        for (int64_t i = 0; i < rows; i++) std::memset(&gates[(4 * i + 3) * H], 0, H * sizeof(float));
        product(rows, 3 * H, H, step ? s.stride : H, 4 * H, true, past, Wh, gates.data() + H);
        for (int64_t i = 0; i < rows; i++) {
          const float* a = &gates[4 * i * H];
          float* h = &state[i * H];
          T* out = y + (row + i) * s.stride;
          T* g = saved + (row + i) * 4 * H;
#pragma GCC ivdep
          for (int64_t j = 0; j < H; j++) {
            const float r = sigmoid(a[H + j] + b[H + j]), z = sigmoid(a[2 * H + j] + b[2 * H + j]);
            const float m = a[3 * H + j] + b[3 * H + j], n = tanh_of(a[j] + b[j] + r * m);
            h[j] = n + z * (h[j] - n);
            store(out[j], h[j]);
            store_gate(g[j], n);
            store_gate(g[H + j], r);
            store_gate(g[2 * H + j], z);
            store(g[3 * H + j], m);
          }
        }
      }
    }
    release(x);
  });
}

// `saved` becomes the derivatives by what the gates are made of: (n, r, z, m), from which those of the weights follow.
template <typename T>
void backward(Sizes s, const T* dy, const T* h0, const T* Wi, const T* Wh, const T* y, T* saved, T* dx, bool add,
              float* dh, float* db) {
  const int64_t H = s.hidden, I = s.inputs;
  at::parallel_for(0, (s.rows + ROWS - 1) / ROWS, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> product_dx(ROWS * I);
    for (int64_t first = begin * ROWS; first < std::min(end * ROWS, s.rows); first += ROWS) {
      const int64_t rows = std::min(ROWS, s.rows - first);
      float *d_state = dh + first * H, *d_bias = db + first / ROWS * 4 * H;
      for (int64_t step = s.frames - 1; step >= 0; step--) {
        const int64_t row = s.frame(step) * s.rows + first;
        const int64_t past_stride = step ? s.stride : H;
        const T* past = step ? y + (s.frame(step - 1) * s.rows + first) * s.stride : h0 + first * H;
        for (int64_t i = 0; i < rows; i++) {
          const T *above = dy + (row + i) * s.stride, *h = past + i * past_stride;
          T* g = saved + (row + i) * 4 * H;
          float* d_h = d_state + i * H;
#pragma GCC ivdep
          for (int64_t j = 0; j < H; j++) {
            const float n = load_gate(g[j]), r = load_gate(g[H + j]), z = load_gate(g[2 * H + j]);
            const float m = load(g[3 * H + j]), d = d_h[j] + load(above[j]);
            const float dn = d * (1 - z) * (1 - n * n), dr = dn * m * r * (1 - r);
            const float dz = d * (load(h[j]) - n) * z * (1 - z), dm = dn * r;
            d_h[j] = d * z;
            d_bias[j] += dn;
            d_bias[H + j] += dr;
            d_bias[2 * H + j] += dz;
            d_bias[3 * H + j] += dm;
            store(g[j], dn);
            store(g[H + j], dr);
            store(g[2 * H + j], dz);
            store(g[3 * H + j], dm);
          }
        }
        product(rows, H, 3 * H, 4 * H, H, true, saved + row * 4 * H + H, Wh, d_state);
        if (!dx) continue;
        product(rows, I, 3 * H, 4 * H, I, false, saved + row * 4 * H, Wi, product_dx.data());
        T* out = dx + row * I;
        for (int64_t i = 0; i < rows * I; i++) store(out[i], product_dx[i] + (add ? load(out[i]) : 0));
      }
    }
    release(dy);
  });
}

}  // namespace

extern "C" {
#define GRU(name, T)                                                                                                 \
  void forward_##name(const int64_t* s, const T* x, const T* h0, const T* Wi, const T* Wh, const float* b, T* y,     \
                      T* saved) {                                                                                    \
    forward(Sizes{s[0], s[1], s[2], s[3], s[4], s[5] != 0}, x, h0, Wi, Wh, b, y, saved);                             \
  }                                                                                                                  \
  void backward_##name(const int64_t* s, const T* dy, const T* h0, const T* Wi, const T* Wh, const T* y, T* saved,   \
                       T* dx, float* dh, float* db) {                                                                \
    backward(Sizes{s[0], s[1], s[2], s[3], s[4], s[5] != 0}, dy, h0, Wi, Wh, y, saved, dx, s[6] != 0, dh, db);       \
  }
GRU(fp32, float)
GRU(bf16, Half)
}
