#include "base/markup.h"

#include <gtest/gtest.h>

namespace asahi {
namespace {

TEST(Markup, NothingOfATextIsReadAsMarkup) {
  EXPECT_EQ(escape_markup("<b a=\"1\" c='2'>&amp;</b>"),
            "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;&lt;/b&gt;");
  EXPECT_EQ(escape_markup("Ünicode stays"), "Ünicode stays");
}

}  // namespace
}  // namespace asahi
