#include <algorithm>
#include <compare>
#include <cstring>
#include <new>
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

enum Field : uint8_t {
  kId,
  kSource,
  kType,
  kSubject,
  kTime,
  kCorrects,
  kVoids,
  kSpecversion,
  kData,
  kOriginal,
  kDataBase64,
  kOther
};

Field FieldNamed(std::string_view name) {
  const auto is = [&](std::string_view known, Field field) { return name == known ? field : kOther; };
  switch (name.size()) {
    case 2:
      return is("id", kId);
    case 4:
      if (name[0] == 'd') return is("data", kData);
      return name[1] == 'y' ? is("type", kType) : is("time", kTime);
    case 5:
      return is("voids", kVoids);
    case 6:
      return is("source", kSource);
    case 7:
      return is("subject", kSubject);
    case 8:
      return name[0] == 'c' ? is("corrects", kCorrects) : is("original", kOriginal);
    case 11:
      return name[0] == 's' ? is("specversion", kSpecversion) : is("data_base64", kDataBase64);
    default:
      return kOther;
  }
}

// What `original` may restate. Identity and specversion are not looked at there, like fields that nobody names.
Field FieldOfOriginal(std::string_view name) {
  const Field field = FieldNamed(name);
  return field == kType || field == kSubject || field == kTime || field == kData ? field : kOther;
}

// The fields of one object: of the event, or of the original that it restates.
struct Fields {
  void Clear() {
    std::fill(std::begin(text), std::end(text), std::string_view());
    seen = 0;
    others.clear();
    data_json = {};
  }
  // Not null: an empty text is there, too.
  bool has(Field field) const { return text[field].data() != nullptr; }
  bool saw(Field field) const { return (seen & (1u << field)) != 0; }

  uint32_t seen = 0;                     // by Field
  std::string_view text[kVoids + 1];     // by Field
  std::vector<std::string_view> others;  // the names of fields that are passed over
  DataFlattener data;
  std::string_view data_json;
};

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
  static constexpr int kInEvent = 1, kInOriginal = 2;  // the depth of a field's value

  Reason NotAnObject() {
    IgnoreValue ignore;
    return tokens_.WalkValue(0, ignore) && tokens_.at_end() ? Reason::kNotAnObject : Reason::kInvalidJson;
  }

  // Syntax comes first: nothing else is reported of a line that is not JSON to its last byte.
  Reason DecodeObject(std::string_view line, Arena& arena, UsageEvent* event) {
    reasons_ = {};
    has_original_ = false;
    line_bytes_ = line.size();
    arena_ = &arena;
    fields_.Clear();
    fields_.data.Begin(line.size(), arena);
    tokens_.Advance();
    if (!tokens_.Accept('}')) {
      do {
        if (!TakeField()) return Reason::kInvalidJson;
      } while (tokens_.Accept(','));
      if (!tokens_.Accept('}')) return Reason::kInvalidJson;
    }
    if (!tokens_.at_end()) return Reason::kInvalidJson;
    const auto& text = fields_.text;
    *event = {text[kId], text[kSource], text[kType], text[kSubject], {}, {}, {}};
    Finish(event);
    return reasons_.First();
  }

  void Finish(UsageEvent* event) {
    reasons_.AddIf(!check_.AllDiffer(fields_.others), Reason::kRepeatedField);
    CheckNames(*event, &reasons_);
    // A time that is there and empty is absent like an empty id; one of another type has its own reason already.
    SetTime(fields_.text[kTime], /*assume_utc=*/false, instants_, event, &reasons_);
    if (fields_.saw(kData)) SetData(fields_, event);
    if (fields_.has(kCorrects) || fields_.has(kVoids) || has_original_) FinishCorrection(event);
  }

  void SetData(Fields& fields, UsageEvent* event) {
    fields.data.Report(&reasons_);
    event->data = KeepProperties(fields.data.properties(), *arena_);
    event->data_json = fields.data_json;
  }

  // Rare: no other line comes here.
  [[gnu::noinline]] void FinishCorrection(UsageEvent* event) {
    const bool corrects = fields_.has(kCorrects), voids = fields_.has(kVoids);
    const std::string_view named = fields_.text[voids ? kVoids : kCorrects];
    if (corrects == voids || named.empty() || named == event->id || (has_original_ && !corrects))
      return reasons_.Add(Reason::kInvalidCorrection);
    reasons_.AddIf(named.size() > kFieldBytesMax, Reason::kFieldTooLong);
    Correction correction{voids, *event};
    correction.original.id = named;
    if (has_original_) Restate(&correction.original);
    char* const kept = arena_->AllocateAligned(sizeof correction, alignof(Correction));
    event->correction = new (kept) Correction(correction);
  }

  void Restate(UsageEvent* original) {
    reasons_.AddIf(!check_.AllDiffer(original_.others), Reason::kRepeatedField);
    if (original_.has(kType)) original->type = original_.text[kType];
    if (original_.has(kSubject)) original->subject = original_.text[kSubject];
    CheckNames(*original, &reasons_);
    if (original_.has(kTime)) SetTime(original_.text[kTime], /*assume_utc=*/false, instants_, original, &reasons_);
    if (original_.saw(kData)) SetData(original_, original);
  }

  bool TakeField() {
    std::string_view name;
    if (!tokens_.TakeName(&name)) return false;
    const Field field = FieldNamed(name);
    if (field == kOriginal && !fields_.saw(kOriginal)) {
      fields_.seen |= 1u << kOriginal;
      return TakeOriginal();
    }
    return TakeValue(name, field, kInEvent, &fields_);
  }

  bool TakeValue(std::string_view name, Field field, int depth, Fields* of) {
    if (field == kOther) {
      of->others.push_back(name);
      return PassOver(depth);
    }
    const bool again = of->saw(field);
    reasons_.AddIf(again, Reason::kRepeatedField);
    of->seen |= 1u << field;
    if (again) return PassOver(depth);
    if (field == kData) return TakeData(depth, of);
    return TakeAttribute(field, depth, of);
  }

  bool TakeOriginal() {
    if (tokens_.Peek() != '{') {
      // An attribute that is null counts as absent, here too.
      reasons_.AddIf(tokens_.Peek() != 'n', Reason::kWrongType);
      return PassOver(kInEvent);
    }
    has_original_ = true;
    original_.Clear();
    original_.data.Begin(line_bytes_, *arena_);
    tokens_.Advance();
    if (tokens_.Accept('}')) return true;
    do {
      std::string_view name;
      if (!tokens_.TakeName(&name)) return false;
      if (!TakeValue(name, FieldOfOriginal(name), kInOriginal, &original_)) return false;
    } while (tokens_.Accept(','));
    return tokens_.Accept('}');
  }

  bool PassOver(int depth) {
    IgnoreValue ignore;
    return tokens_.WalkValue(depth, ignore);
  }

  bool TakeAttribute(Field field, int depth, Fields* of) {
    const Reason wrong = field == kSpecversion ? Reason::kUnsupportedSpecversion : Reason::kWrongType;
    if (tokens_.Peek() == '{' || tokens_.Peek() == '[') {
      reasons_.Add(wrong);
      return PassOver(depth);
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
      of->text[field] = scalar.text;
    }
    return true;
  }

  bool TakeData(int depth, Fields* of) {
    if (tokens_.Peek() != '{') {
      reasons_.Add(Reason::kWrongType);
      return PassOver(depth);
    }
    if (!tokens_.WalkValue(depth, of->data)) return false;
    of->data_json = of->data.json();
    return true;
  }

  JsonTokens tokens_;
  ReasonSet reasons_;
  Fields fields_;
  bool has_original_ = false;
  Fields original_;  // then
  size_t line_bytes_ = 0;
  Arena* arena_ = nullptr;  // of the line
  NameCheck check_;
  InstantReader instants_;
};

}  // namespace

std::unique_ptr<Decoder> MakeJsonDecoder() {
  return std::make_unique<JsonDecoder>();
}

}  // namespace tollbook
