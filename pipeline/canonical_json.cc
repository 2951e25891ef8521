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

// A data that the original leaves out is the correction's own.
bool IsSameText(std::string_view a, std::string_view b) {
  return a.data() == b.data() && a.size() == b.size();
}

void AppendCorrection(const UsageEvent& event, std::string* out) {
  const UsageEvent& original = event.correction->original;
  AppendField(event.correction->is_void ? "voids" : "corrects", original.id, out);
  const bool other_data = !IsSameText(original.data_json, event.data_json);
  if (original.type == event.type && original.subject == event.subject && original.time == event.time && !other_data)
    return;
  AppendName("original", out);
  out->push_back('{');
  if (original.type != event.type) AppendField("type", original.type, out);
  if (original.subject != event.subject) AppendField("subject", original.subject, out);
  if (original.time != event.time) AppendField("time", ToString(original.time), out);
  if (other_data) {
    AppendName("data", out);
    out->append(original.data_json);
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
  if (!event.data_json.empty()) {
    out->append(",\"data\":").append(event.data_json);
  } else if (!event.data.empty()) {
    out->append(",\"data\":");
    AppendData(event.data, out);
  }
  if (event.correction != nullptr) AppendCorrection(event, out);
  out->push_back('}');
}

}  // namespace tollbook
