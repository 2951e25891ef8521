// ZstdContext: what unpacks zstd, with the bound that is ours.
#ifndef TOLLBOOK_PIPELINE_ZSTD_CONTEXT_H_
#define TOLLBOOK_PIPELINE_ZSTD_CONTEXT_H_

#include <zstd.h>

#include <memory>
#include <new>

namespace tollbook {

// 128 MiB, zstd's own default limit. A frame that wants more memory is refused, not obeyed.
inline constexpr int kZstdWindowLogMax = 27;

struct FreeZstdContext {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};
using ZstdContext = std::unique_ptr<ZSTD_DCtx, FreeZstdContext>;

inline ZstdContext MakeZstdContext() {
  ZstdContext context(ZSTD_createDCtx());
  if (context == nullptr) throw std::bad_alloc();
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kZstdWindowLogMax);
  return context;
}

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_ZSTD_CONTEXT_H_
