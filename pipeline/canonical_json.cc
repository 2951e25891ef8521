#include "pipeline/decode.h"
#include "pipeline/json_text.h"

namespace tollbook {
namespace {

void AppendName(std::string_view name, std::string* out) {
  if (out->back() != '{') out->push_back(',');
  out->append("\"").append(name).append("\":");
}

void AppendField(std::string_view name, std::string_view text, std::string* out) {
  AppendName(name, out);
  AppendJsonString(text, out);
}

void AppendData(std::span<const Property> data, std::string* out) {
  out->push_back('{');
  for (const Property& property : data) {
    if (&property != data.data()) out->push_back(',');
    AppendJsonString(property.name, out);
    out->push_back(':');
    if (property.kind == Property::Kind::kString) {
      AppendJsonString(property.text, out);
    } else {
      out->append(property.text);
    }
  }
  out->push_back('}');
}

void AppendDataOf(const UsageEvent& event, std::string* out) {
  event.data_json.empty() ? AppendData(event.data, out) : void(out->append(event.data_json));
}

// A data that the original leaves out is the correction's own, and not a copy.
bool HasDataOf(const UsageEvent& original, const UsageEvent& event) {
  return original.data.data() == event.data.data() && original.data_json.data() == event.data_json.data();
}

void AppendCorrection(const UsageEvent& event, std::string* out) {
  const UsageEvent& original = event.correction->original;
  AppendField(event.correction->is_void ? "voids" : "corrects", original.id, out);
  const bool other_data = !HasDataOf(original, event);
  if (original.type == event.type && original.subject == event.subject && original.time == event.time && !other_data)
    return;
  AppendName("original", out);
  out->push_back('{');
  if (original.type != event.type) AppendField("type", original.type, out);
  if (original.subject != event.subject) AppendField("subject", original.subject, out);
  if (original.time != event.time) AppendField("time", ToString(original.time), out);
  if (other_data) {
    AppendName("data", out);
    AppendDataOf(original, out);
  }
  out->push_back('}');
}

}  // namespace

void AppendCanonicalJson(const UsageEvent& event, std::string* out) {
  out->append("{\"specversion\":\"1.0\"");
  AppendField("id", event.id, out);
  AppendField("source", event.source, out);
  AppendField("type", event.type, out);
  AppendField("subject", event.subject, out);
  AppendField("time", ToString(event.time), out);
  if (!event.data_json.empty() || !event.data.empty()) {
    out->append(",\"data\":");
    AppendDataOf(event, out);
  }
  if (event.correction != nullptr) AppendCorrection(event, out);
  out->push_back('}');
}

}  // namespace tollbook
