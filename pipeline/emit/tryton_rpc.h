// TrytonRpc: calls of a Tryton server, in a session that it makes again once when the server has forgotten it.
#ifndef TOLLBOOK_PIPELINE_EMIT_TRYTON_RPC_H_
#define TOLLBOOK_PIPELINE_EMIT_TRYTON_RPC_H_

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "ledger/delivery.h"
#include "pipeline/emit/http.h"
#include "pipeline/emit/secret.h"

namespace tollbook {

// The order of keys is Tryton's, which takes exactly id, method and params.
using Json = nlohmann::ordered_json;

struct RpcAnswer {
  enum class Came : uint8_t {
    kResult,
    kRefused,     // by a rule of the ERP, which says why; nothing was written
    kNotApplied,  // surely not done, and not for what was asked
    kUnclear,     // it may have been done
  };
  Came came = Came::kUnclear;
  Json result;
  std::string error;  // of all but kResult; the password masked
  DeliveryProblem problem = DeliveryProblem::kNone;
  int64_t wait_nanos = 0;
  bool is_of_target = false;  // not about what was asked
  bool is_denied = false;     // kRefused: for who asks
};

class TrytonRpc {
 public:
  TrytonRpc(std::unique_ptr<HttpClient> http, std::string user, Secret password);
  // `params` without the context, which it appends: {"company": company} (0: none).
  RpcAnswer Call(std::string_view method, Json params, int64_t company);

  // As they are sent, in one line. `company`: its id, or what stands for it where it is only shown; 0: none.
  static std::string Request(std::string_view method, Json params, const Json& company);
  static std::string LoginRequest(std::string_view user, std::string_view password);

 private:
  RpcAnswer Once(const std::string& request);
  RpcAnswer LogIn();
  RpcAnswer OfAnswer(const HttpAnswer& answer) const;

  const std::string user_;
  const Secret password_;
  const std::unique_ptr<HttpClient> http_;
  std::string session_;  // the header's value; empty: not logged in
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_TRYTON_RPC_H_
