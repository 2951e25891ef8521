#include "pipeline/emit/tryton_rpc.h"

#include <vector>

#include "pipeline/emit/authorization.h"
#include "pipeline/emit/jwt.h"

namespace tollbook {
namespace {

constexpr long kUnauthorized = 401, kForbidden = 403;
constexpr size_t kMessageBytes = 300;  // a rule's domain can be kilobytes of field definitions

RpcAnswer Answer(RpcAnswer::Came came, DeliveryProblem problem, std::string error, bool is_of_target = false) {
  RpcAnswer answer;
  answer.came = came;
  answer.problem = problem;
  answer.error = std::move(error);
  answer.is_of_target = is_of_target;
  return answer;
}

// ["UserError", ["You cannot …", "", null]] or ["'reference'", ""].
std::string MessageOf(const Json& error) {
  std::string message;
  const auto add = [&](const Json& part) {
    if (part.is_string() && !part.get_ref<const std::string&>().empty()) {
      message += (message.empty() ? "" : ": ") + part.get<std::string>();
    }
  };
  if (error.is_array() && error.size() > 1 && error[1].is_array() && !error[1].empty()) {
    add(error[1][0]);
  } else if (error.is_array() && !error.empty()) {
    add(error[0]);
  }
  if (message.empty()) message = error.dump(-1, ' ', false, Json::error_handler_t::replace);
  return message.substr(0, kMessageBytes);
}

// HTTP 200 says nothing by itself: one of `result` and `error` must be there.
RpcAnswer OfBody(const HttpAnswer& http) {
  Json body = Json::parse(http.body, nullptr, false);
  if (!body.is_object() || body.contains("result") == body.contains("error")) {
    return Answer(RpcAnswer::Came::kUnclear, DeliveryProblem::kAmbiguous,
                  "the answer is none of Tryton's: " + Summary(http));
  }
  if (body.contains("error")) {
    return Answer(RpcAnswer::Came::kRefused, DeliveryProblem::kValidation, "Tryton: " + MessageOf(body["error"]));
  }
  RpcAnswer answer;
  answer.came = RpcAnswer::Came::kResult;
  answer.result = std::move(body["result"]);
  return answer;
}

RpcAnswer OfStatus(const HttpAnswer& http) {
  const std::string said = Summary(http);
  if (http.status == kUnauthorized) {
    return Answer(RpcAnswer::Came::kNotApplied, DeliveryProblem::kAuthentication, said, true);
  }
  // A 503 that does not say when to come again may be a proxy's that lost the answer; a 403 that does is a limit of
  // requests, as some say it.
  const bool says_when = http.retry_after_nanos > 0;
  if (http.status == 429 || ((http.status == 503 || http.status == kForbidden) && says_when)) {
    RpcAnswer wait =
        Answer(RpcAnswer::Came::kNotApplied,
               http.status == 503 ? DeliveryProblem::kAvailability : DeliveryProblem::kRateLimit, said, true);
    wait.wait_nanos = http.retry_after_nanos;
    return wait;
  }
  if (http.status >= 300 && http.status < 400) {
    return Answer(RpcAnswer::Came::kUnclear, DeliveryProblem::kConfiguration,
                  said + " (a redirect is not followed: correct the url)", true);
  }
  if (http.status >= 500 || http.status == 408) {
    RpcAnswer lost = Answer(RpcAnswer::Came::kUnclear, DeliveryProblem::kAmbiguous, said, says_when);
    lost.wait_nanos = http.retry_after_nanos;
    return lost;
  }
  if (http.status == kForbidden) {
    RpcAnswer denied = Answer(RpcAnswer::Came::kRefused, DeliveryProblem::kAuthentication, said);
    denied.is_denied = true;
    return denied;
  }
  return Answer(RpcAnswer::Came::kRefused, DeliveryProblem::kConfiguration, said);
}

}  // namespace

TrytonRpc::TrytonRpc(std::unique_ptr<HttpClient> http, std::string user, Secret password)
    : user_(std::move(user)), password_(std::move(password)), http_(std::move(http)) {}

std::string TrytonRpc::LoginRequest(std::string_view user, std::string_view password) {
  const Json request = {{"id", 0},
                        {"method", "common.db.login"},
                        {"params", Json::array({std::string(user), Json{{"password", std::string(password)}}})}};
  return request.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string TrytonRpc::Request(std::string_view method, Json params, const Json& company) {
  params.push_back(company == 0 ? Json::object() : Json{{"company", company}});
  return Json{{"id", 1}, {"method", std::string(method)}, {"params", std::move(params)}}.dump(
      -1, ' ', false, Json::error_handler_t::replace);
}

RpcAnswer TrytonRpc::OfAnswer(const HttpAnswer& http) const {
  RpcAnswer answer;
  if (http.came == HttpAnswer::Came::kNotSent) {
    answer = Answer(RpcAnswer::Came::kNotApplied, ProblemOfUnsent(http), http.error, true);
    answer.wait_nanos = http.retry_after_nanos;
  } else if (http.came == HttpAnswer::Came::kUnclear) {
    answer = Answer(RpcAnswer::Came::kUnclear, DeliveryProblem::kAmbiguous, http.error);
  } else {
    answer = http.status == 200 ? OfBody(http) : OfStatus(http);
  }
  answer.error = password_.MaskedIn(std::move(answer.error));
  return answer;
}

RpcAnswer TrytonRpc::Once(const std::string& request) {
  return OfAnswer(http_->Post({"Content-Type: application/json", "Authorization: Session " + session_}, request));
}

// Whatever becomes of it, what was to be called was not.
RpcAnswer TrytonRpc::LogIn() {
  RpcAnswer answer = OfAnswer(http_->Post({"Content-Type: application/json"}, LoginRequest(user_, password_.value())));
  const Json& result = answer.result;
  const bool named = answer.came == RpcAnswer::Came::kResult && result.is_array() && result.size() == 2 &&
                     result[0].is_number_integer() && result[1].is_string();
  if (named) {
    session_ = Base64(user_ + ":" + std::to_string(result[0].get<int64_t>()) + ":" + result[1].get<std::string>());
    return answer;
  }
  const bool unreachable = answer.came == RpcAnswer::Came::kUnclear || answer.problem == DeliveryProblem::kAvailability;
  if (answer.came == RpcAnswer::Came::kResult) answer.error = "the login was answered by none of Tryton's answers";
  if (answer.came == RpcAnswer::Came::kRefused || answer.came == RpcAnswer::Came::kResult) {
    answer.problem = DeliveryProblem::kConfiguration;
  } else if (unreachable) {
    answer.problem = DeliveryProblem::kAvailability;
  }
  answer.came = RpcAnswer::Came::kNotApplied;
  answer.error = "login: " + answer.error;
  answer.is_of_target = true;
  return answer;
}

RpcAnswer TrytonRpc::Call(std::string_view method, Json params, int64_t company) {
  const std::string request = Request(method, std::move(params), company);
  const bool had_session = !session_.empty();
  if (!had_session) {
    RpcAnswer login = LogIn();
    if (login.came != RpcAnswer::Came::kResult) return login;
  }
  RpcAnswer answer = Once(request);
  const auto has_no_session = [](const RpcAnswer& of) {
    return of.problem == DeliveryProblem::kAuthentication && !of.is_denied;
  };
  if (!has_no_session(answer)) return answer;
  // A session that the server forgot: the call did not run. Once; a login that does not help would be a loop.
  session_.clear();
  if (!had_session) return answer;
  RpcAnswer login = LogIn();
  if (login.came != RpcAnswer::Came::kResult) return login;
  answer = Once(request);
  if (has_no_session(answer)) session_.clear();
  return answer;
}

}  // namespace tollbook
