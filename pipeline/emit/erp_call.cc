#include "pipeline/emit/erp_call.h"

#include <openssl/evp.h>

#include <algorithm>
#include <utility>

#include "pipeline/emit/authorization.h"

namespace tollbook {
namespace {

using Problem = DeliveryProblem;

}  // namespace

ErpEmitter::ErpEmitter(const Target& target, std::unique_ptr<HttpClient> http)
    : target_(target),
      base_(target.http.url.substr(0, target.http.url.find_last_not_of('/') + 1)),
      http_(std::move(http)) {}

PlannedDelivery ErpEmitter::Make(const JournalBatch& batch) const {
  return {"", batch.id, batch.posting_key, Encode(ErpJournalOf(batch))};
}

std::string ErpEmitter::ShowHead(std::string_view path, std::span<const std::string> headers) const {
  std::string text = "POST " + base_ + std::string(path) + "\n";
  for (const std::string& header : headers) text += header + "\n";
  return text + ShownHeader(target_.auth) + "\n\n";
}

std::string ScalarAt(const JsonTree& map, std::string_view key) {
  const JsonTree* found = map.Find(key);
  const bool is_scalar =
      found != nullptr && (found->kind == JsonTree::Kind::kText || found->kind == JsonTree::Kind::kNumber ||
                           found->kind == JsonTree::Kind::kBool);
  return is_scalar ? found->text : "";
}

absl::Status NoErpCode(std::string_view what, std::string_view system, std::string_view key) {
  return MakeError(absl::StatusCode::kFailedPrecondition, std::string(what) + " has no code in " + std::string(system),
                   "targets.yaml", "add it under `" + std::string(key) + "` and `tollbook deliveries retry` the batch");
}

absl::StatusOr<std::string> ErpCode(const std::map<std::string, std::string>& codes, const std::string& ours,
                                    std::string_view what, std::string_view system, std::string_view key) {
  const auto found = codes.find(ours);
  if (found == codes.end()) return NoErpCode(std::string(what) + " \"" + ours + "\"", system, key);
  return found->second;
}

absl::StatusOr<std::optional<std::string>> ErpDimension(const Target& target, const std::string& name,
                                                        const std::string& value, std::string_view system) {
  const auto known = target.dimensions.lower_bound(name + "=");
  if (known == target.dimensions.end() || !known->first.starts_with(name + "=")) return std::nullopt;
  const auto found = target.dimensions.find(name + "=" + value);
  if (found == target.dimensions.end()) {
    return NoErpCode("dimension \"" + name + "=" + value + "\"", system, "dimensions");
  }
  return found->second;
}

std::vector<std::pair<std::string, std::string>> MappableOf(const ErpLine& line) {
  auto dimensions = line.dimensions;
  const auto is_product = [](const auto& dimension) { return dimension.first == kProductDimension; };
  if (!line.product.empty() && std::none_of(dimensions.begin(), dimensions.end(), is_product)) {
    dimensions.emplace_back(kProductDimension, line.product);
  }
  return dimensions;
}

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ErpFields(const Target& target, const ErpLine& line,
                                                                           std::string_view system, std::string* text) {
  std::vector<std::pair<std::string, std::string>> fields;
  for (const auto& [name, value] : MappableOf(line)) {
    const absl::StatusOr<std::optional<std::string>> code = ErpDimension(target, name, value, system);
    if (!code.ok()) return code.status();
    if (!*code) {
      TellDimension(line, name, value, text);
      continue;
    }
    const size_t sign = (*code)->find('=');
    fields.emplace_back((*code)->substr(0, sign), (*code)->substr(sign + 1));
  }
  return fields;
}

void TellDimension(const ErpLine& line, std::string_view name, std::string_view value, std::string* text) {
  if (name == kProductDimension && value == line.product) return;
  text->append(", ").append(name).append("=").append(value);
}

absl::StatusOr<std::string> ErpCustomer(const Target& target, const ErpLine& line, std::string_view system) {
  if (!target.customer_accounts.contains(line.account)) return std::string();
  const auto subscription = std::find_if(line.dimensions.begin(), line.dimensions.end(), [](const auto& dimension) {
    return dimension.first == kSubscriptionDimension;
  });
  if (subscription == line.dimensions.end()) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "a line of account \"" + line.account + "\" names no customer of " + std::string(system),
                     "product \"" + line.product + "\"",
                     "post it `by_subscription` (posting.yaml), or take the account out of `customer_accounts`; this "
                     "one, book by hand, then `tollbook deliveries resolve`");
  }
  if (const std::optional<std::string_view> id = IdOf(target, subscription->second)) return std::string(*id);
  return MakeError(
      absl::StatusCode::kFailedPrecondition,
      "subscription \"" + subscription->second + "\" has no customer in " + std::string(system),
      std::string(kCustomersFile),
      "add a row of it, or of its account, for target " + target.name + " and `tollbook deliveries retry` the batch");
}

absl::Status NoStoredJournal(const Parcel& parcel) {
  return MakeError(absl::StatusCode::kFailedPrecondition, "the stored journal cannot be read", parcel.batch,
                   "supersede it with `tollbook deliveries resolve`, and book it by hand");
}

std::optional<ErpJournal> StoredJournal(const Parcel& parcel, Attempt* outcome) {
  std::optional<ErpJournal> journal = DecodeErpJournal(parcel.body);
  if (!journal) *outcome = RefusedHere(Problem::kValidation, "the stored journal cannot be read");
  return journal;
}

std::string ShortKey(std::string_view posting_key) {
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned bytes = 0;
  TOLLBOOK_ASSERT(EVP_Digest(posting_key.data(), posting_key.size(), hash, &bytes, EVP_sha256(), nullptr) == 1);
  std::string text;
  uint32_t bits = 0;
  int held = 0;
  for (int i = 0; i < 10; ++i) {
    bits = bits << 8 | hash[i];
    for (held += 8; held >= 5; held -= 5) text += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[bits >> (held - 5) & 31];
  }
  return text;
}

std::string FirstCharacters(std::string_view text, size_t characters) {
  size_t at = 0;
  for (; at < text.size(); ++at) {
    const bool begins_one = (static_cast<unsigned char>(text[at]) & 0xc0) != 0x80;
    if (begins_one && characters-- == 0) break;
  }
  return std::string(text.substr(0, at));
}

}  // namespace tollbook
