#include <algorithm>
#include <compare>
#include <cstring>
#include <vector>

#include "pipeline/decode.h"
#include "pipeline/envelope.h"
#include "pipeline/json_tokens.h"

namespace tollbook {
namespace {

// The names of nested data are put together ("usage.tokens"). A line may make them up to this many times its own
// length: no real usage comes near, and a hostile line (a long name around many short ones) must not eat the memory.
constexpr size_t kPathBytesPerLineByte = 16;

// Do all names differ? Few are compared each with each, many are sorted: a hostile line may hold a hundred thousand.
class NameCheck {
 public:
  template <typename NameAt>
  bool AllDiffer(size_t count, NameAt name_at) {
    if (count < 2) return true;
    names_.clear();
    for (size_t i = 0; i < count; ++i) names_.push_back({KeyOf(name_at(i)), name_at(i)});
    return count <= kFew ? FewDiffer() : ManyDiffer();
  }
  bool AllDiffer(std::span<const std::string_view> names) {
    return AllDiffer(names.size(), [&](size_t i) { return names[i]; });
  }

 private:
  static constexpr size_t kFew = 16;
  // The key spares nearly every comparison of names.
  struct Keyed {
    uint64_t key;
    std::string_view name;
    friend auto operator<=>(const Keyed&, const Keyed&) = default;
  };

  static uint64_t KeyOf(std::string_view name) {
    uint64_t first = 0, last = 0;
    std::memcpy(&first, name.data(), std::min(name.size(), sizeof first));
    if (name.size() > sizeof last) std::memcpy(&last, name.data() + name.size() - sizeof last, sizeof last);
    return first ^ (last ^ name.size()) * 0x9E3779B97F4A7C15;
  }
  bool FewDiffer() const {
    for (size_t i = 1; i < names_.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        if (names_[i].key == names_[j].key && names_[i].name == names_[j].name) return false;
      }
    }
    return true;
  }
  bool ManyDiffer() {
    std::sort(names_.begin(), names_.end());
    return std::adjacent_find(names_.begin(), names_.end()) == names_.end();
  }
  std::vector<Keyed> names_;
};

// Flattens `data`: a property for each scalar and for each nested container, named by its path. What is in an array has
// no path and is only checked.
class DataFlattener {
 public:
  void Begin(size_t line_bytes, Arena& arena) {
    arena_ = &arena;
    path_bytes_left_ = line_bytes * kPathBytesPerLineByte;
    paths_too_long_ = names_repeat_ = listed_names_repeat_ = has_dots_ = false;
    properties_.clear();
    open_.clear();
    names_.clear();
  }

  void OnName(std::string_view name) {
    names_.push_back(name);
    if (!open_.back().lists) return;
    has_dots_ = has_dots_ || name.find('.') != std::string_view::npos;
    path_ = open_.size() == 1 ? name : Join(open_.back().path, name);
  }
  void OnScalar(const JsonScalar& scalar) {
    if (open_.back().lists) properties_.push_back({path_, scalar.text, scalar.kind});
  }
  void OnOpen(bool is_object, const char* at) {
    Container container{{}, at, kNotListed, names_.size(), is_object};
    if (!open_.empty()) {
      container.lists = is_object && open_.back().lists;
      if (open_.back().lists) {
        container.path = path_;
        container.property = properties_.size();
        properties_.push_back({path_, {}, Property::Kind::kComposite});
      }
    }
    open_.push_back(container);
  }
  void OnClose(const char* end) {
    const Container container = open_.back();
    open_.pop_back();
    const std::string_view written(container.begin, static_cast<size_t>(end - container.begin));
    if (container.property != kNotListed) properties_[container.property].text = written;
    if (open_.empty()) json_ = written;
    const bool repeat = !check_.AllDiffer(std::span<const std::string_view>(names_).subspan(container.first_name));
    (container.lists ? listed_names_repeat_ : names_repeat_) |= repeat;
    names_.resize(container.first_name);
  }

  void Report(ReasonSet* reasons) {
    reasons->AddIf(paths_too_long_, Reason::kFieldTooLong);
    reasons->AddIf(names_repeat_ || (!paths_too_long_ && PathsRepeat()), Reason::kRepeatedField);
  }
  std::span<const Property> properties() const { return properties_; }
  std::string_view json() const { return json_; }

 private:
  static constexpr size_t kNotListed = ~size_t{0};
  struct Container {
    std::string_view path;
    const char* begin;
    size_t property;    // its own entry
    size_t first_name;  // of its members, in names_
    bool lists;         // its members become properties
  };

  // Two members of one object, or, where a name has a dot, two of different ones: {"a.b":1,"a":{"b":2}}.
  bool PathsRepeat() {
    return listed_names_repeat_ ||
           (has_dots_ && !check_.AllDiffer(properties_.size(), [&](size_t i) { return properties_[i].name; }));
  }

  std::string_view Join(std::string_view path, std::string_view name) {
    const size_t bytes = path.size() + 1 + name.size();
    if (paths_too_long_ || bytes > path_bytes_left_) {
      paths_too_long_ = true;
      return name;
    }
    path_bytes_left_ -= bytes;
    char* const joined = arena_->Allocate(bytes);
    std::memcpy(joined, path.data(), path.size());
    joined[path.size()] = '.';
    std::memcpy(joined + path.size() + 1, name.data(), name.size());
    return {joined, bytes};
  }

  Arena* arena_ = nullptr;
  size_t path_bytes_left_ = 0;
  bool paths_too_long_ = false;
  bool names_repeat_ = false;         // in an object that is in an array
  bool listed_names_repeat_ = false;  // in another one
  bool has_dots_ = false;             // a name outside arrays
  std::string_view path_;             // of the member whose value comes next
  std::string_view json_;
  std::vector<Property> properties_;
  std::vector<Container> open_;
  std::vector<std::string_view> names_;  // of the open objects' members
  NameCheck check_;
};

enum Field : uint8_t { kId, kSource, kType, kSubject, kTime, kSpecversion, kData, kDataBase64, kOther };

Field FieldNamed(std::string_view name) {
  const auto is = [&](std::string_view known, Field field) { return name == known ? field : kOther; };
  switch (name.size()) {
    case 2:
      return is("id", kId);
    case 4:
      if (name[0] == 'd') return is("data", kData);
      return name[1] == 'y' ? is("type", kType) : is("time", kTime);
    case 6:
      return is("source", kSource);
    case 7:
      return is("subject", kSubject);
    case 11:
      return name[0] == 's' ? is("specversion", kSpecversion) : is("data_base64", kDataBase64);
    default:
      return kOther;
  }
}

class JsonDecoder final : public Decoder {
 public:
  bool ReadsJson() const override { return true; }
  void Decode(std::string_view line, uint64_t /*row*/, Arena& arena, std::vector<DecodedEvent>& out) override {
    DecodedEvent& decoded = out.emplace_back();
    switch (tokens_.Begin(line, arena)) {
      case JsonTokens::Start::kInvalidUtf8:
        decoded.reason = Reason::kInvalidUtf8;
        return;
      case JsonTokens::Start::kInvalidJson:
        decoded.reason = Reason::kInvalidJson;
        return;
      case JsonTokens::Start::kOk:
        decoded.reason = tokens_.Peek() == '{' ? DecodeObject(line, arena, &decoded.event) : NotAnObject();
    }
  }

 private:
  Reason NotAnObject() {
    IgnoreValue ignore;
    return tokens_.WalkValue(0, ignore) && tokens_.at_end() ? Reason::kNotAnObject : Reason::kInvalidJson;
  }

  // Syntax comes first: nothing else is reported of a line that is not JSON to its last byte.
  Reason DecodeObject(std::string_view line, Arena& arena, UsageEvent* event) {
    reasons_ = {};
    std::fill(std::begin(text_), std::end(text_), std::string_view());
    seen_ = 0;
    others_.clear();
    data_.Begin(line.size(), arena);
    tokens_.Advance();
    if (!tokens_.Accept('}')) {
      do {
        if (!TakeField()) return Reason::kInvalidJson;
      } while (tokens_.Accept(','));
      if (!tokens_.Accept('}')) return Reason::kInvalidJson;
    }
    if (!tokens_.at_end()) return Reason::kInvalidJson;
    *event = {text_[kId], text_[kSource], text_[kType], text_[kSubject], {}, {}, {}};
    Finish(arena, event);
    return reasons_.First();
  }

  void Finish(Arena& arena, UsageEvent* event) {
    reasons_.AddIf(!check_.AllDiffer(others_), Reason::kRepeatedField);
    CheckNames(*event, &reasons_);
    // A time that is there and empty is absent like an empty id; one of another type has its own reason already.
    SetTime(text_[kTime], /*assume_utc=*/false, instants_, event, &reasons_);
    if ((seen_ & (1u << kData)) == 0) return;
    data_.Report(&reasons_);
    event->data = KeepProperties(data_.properties(), arena);
    event->data_json = data_json_;
  }

  bool TakeField() {
    std::string_view name;
    if (!tokens_.TakeName(&name)) return false;
    const Field field = FieldNamed(name);
    if (field == kOther) {
      others_.push_back(name);
      return PassOver();
    }
    const bool again = (seen_ & (1u << field)) != 0;
    reasons_.AddIf(again, Reason::kRepeatedField);
    seen_ |= 1u << field;
    if (again) return PassOver();
    if (field == kData) return TakeData();
    return TakeAttribute(field);
  }

  bool PassOver() {
    IgnoreValue ignore;
    return tokens_.WalkValue(1, ignore);
  }

  bool TakeAttribute(Field field) {
    const Reason wrong = field == kSpecversion ? Reason::kUnsupportedSpecversion : Reason::kWrongType;
    if (tokens_.Peek() == '{' || tokens_.Peek() == '[') {
      reasons_.Add(wrong);
      return PassOver();
    }
    JsonScalar scalar;
    if (!tokens_.TakeScalar(&scalar)) return false;
    // CloudEvents JSON format 1.0.2, 2.2: an attribute that is null counts as absent.
    if (scalar.kind == Property::Kind::kNull) return true;
    if (field == kDataBase64 || scalar.kind != Property::Kind::kString) {
      reasons_.Add(wrong);
    } else if (field == kSpecversion) {
      reasons_.AddIf(scalar.text != "1.0", Reason::kUnsupportedSpecversion);
    } else {
      text_[field] = scalar.text;
    }
    return true;
  }

  bool TakeData() {
    if (tokens_.Peek() != '{') {
      reasons_.Add(Reason::kWrongType);
      data_json_ = {};
      return PassOver();
    }
    if (!tokens_.WalkValue(1, data_)) return false;
    data_json_ = data_.json();
    return true;
  }

  JsonTokens tokens_;
  ReasonSet reasons_;
  uint32_t seen_ = 0;                     // by Field
  std::string_view text_[kTime + 1];      // by Field
  std::vector<std::string_view> others_;  // the names of fields that no meter names
  DataFlattener data_;
  std::string_view data_json_;
  NameCheck check_;
  InstantReader instants_;
};

}  // namespace

std::unique_ptr<Decoder> MakeJsonDecoder() {
  return std::make_unique<JsonDecoder>();
}

}  // namespace tollbook
