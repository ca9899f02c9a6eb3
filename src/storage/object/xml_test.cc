#include "storage/object/xml.h"

#include <gtest/gtest.h>

#include "base/markup.h"

namespace asahi::object {
namespace {

TEST(S3Xml, ReadsElementsAndEntities) {
  const auto read = parse_xml(
      "<?xml version=\"1.0\"?>\n<!-- note -->\n<s3:A xmlns:s3='http://x/'>\n <Key>a&amp;b&#x20AC;"
      "<![CDATA[<c>]]></Key><Empty/><Key b=\"1\">2</Key ></s3:A>\n");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->name, "A");
  EXPECT_EQ(read->text_of("Key"), "a&b€<c>");
  ASSERT_EQ(read->children.size(), 3U);
  EXPECT_EQ(read->children[2].text, "2");
  EXPECT_EQ(read->child("Nothing"), nullptr);
  EXPECT_EQ(parse_xml("<a>" + escape_markup("<\"&>") + "</a>")->text, "<\"&>");
}

TEST(S3Xml, RefusesWhatIsNoneOrCut) {
  const std::string whole = "<A><B>text &amp; more</B><C x='1'/></A>";
  ASSERT_TRUE(parse_xml(whole));
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(parse_xml(whole.substr(0, size))) << size;
  for (const char* text :
       {"text", "<a></b>", "<a>&unknown;</a>", "<a>&#0;</a>", "<a>&#xD800;</a>", "<a b></a>",
        "<a b=c></a>", "<a></a><b></b>", "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "<a><!x></a>"})
    EXPECT_FALSE(parse_xml(text)) << text;
}

TEST(S3Xml, IsBounded) {
  std::string deep;
  for (int i = 0; i < 17; ++i) deep += "<a>";
  for (int i = 0; i < 17; ++i) deep += "</a>";
  EXPECT_FALSE(parse_xml(deep));
  std::string wide = "<a>";
  for (int i = 0; i < 50'001; ++i) wide += "<b/>";
  EXPECT_FALSE(parse_xml(wide + "</a>"));
}

}  // namespace
}  // namespace asahi::object
