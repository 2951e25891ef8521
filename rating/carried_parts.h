// CarriedParts: the parts of slices (amendment.h) of a meter that carries over. What is there has no events to add up
// day by day: each part has a quantity to date.
//
// In the line that comes of it (RatedCharge in rate.h) `sliced` is what they were set to.
#ifndef TOLLBOOK_RATING_CARRIED_PARTS_H_
#define TOLLBOOK_RATING_CARRIED_PARTS_H_

#include <span>
#include <vector>

#include "rating/amendment.h"

namespace tollbook {

class CarriedParts {
 public:
  // What the slices come to does not matter.
  explicit CarriedParts(std::span<const UsageSlice> slices);

  // What a part, as the charge of slice `as` takes it, comes to by the end of a day since the first day of those that
  // go on from one another. By day; days that change nothing may be left out.
  void Set(size_t as, const PartTotal& to_date);
  // Up to then. They borrow what the next call changes.
  std::span<const SliceParts> parts();

 private:
  struct Slice {
    Day start, end;  // half-open
    std::vector<UsagePart> before, to_date, whole;
  };
  std::vector<Slice> slices_;
  std::vector<SliceParts> parts_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CARRIED_PARTS_H_
