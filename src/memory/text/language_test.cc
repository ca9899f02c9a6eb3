#include "memory/text/language.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>

namespace asahi::memory::text {
namespace {

struct Sentence {
  std::string_view language, text;
};
// clang-format off
constexpr std::array kSentences = std::to_array<Sentence>({
    {"en", "The deploy failed at noon because the database migration timed out after thirty seconds."},
    {"en", "Please remember that we meet on Tuesday in the small room."},
    {"de", "Die Auslieferung ist am Mittag gescheitert, weil die Wanderung der Datenbank zu lange gedauert hat."},
    {"de", "Bitte denk daran, dass wir uns am Dienstag im kleinen Zimmer treffen."},
    {"fr", "Le déploiement a échoué à midi parce que la migration de la base a pris trop de temps."},
    {"fr", "N'oubliez pas que nous nous voyons mardi dans la petite salle."},
    {"es", "El despliegue falló al mediodía porque la migración de la base de datos tardó demasiado."},
    {"es", "Recuerda que nos vemos el martes en la sala pequeña."},
    {"it", "Il rilascio è fallito a mezzogiorno perché la migrazione del database ha impiegato troppo tempo."},
    {"it", "Ricorda che ci vediamo martedì nella sala piccola."},
    {"pt", "A implantação falhou ao meio-dia porque a migração do banco de dados demorou demais."},
    {"pt", "Lembre-se de que nos encontramos na terça-feira na sala pequena."},
    {"nl", "De uitrol is om twaalf uur mislukt omdat de migratie van de database te lang duurde."},
    {"nl", "Denk eraan dat we elkaar dinsdag in de kleine kamer zien."},
    {"sv", "Driftsättningen misslyckades vid lunchtid eftersom migreringen av databasen tog för lång tid."},
    {"sv", "Kom ihåg att vi träffas på tisdag i det lilla rummet."},
    {"da", "Udrulningen mislykkedes ved middagstid, fordi flytningen af databasen tog for lang tid."},
    {"da", "Husk at vi mødes på tirsdag i det lille lokale, hvis du har tid."},
    {"nb", "Utrullingen mislyktes ved middagstid fordi flyttingen av databasen tok for lang tid."},
    {"nb", "Husk at vi møtes på tirsdag i det lille rommet, hvis du har tid."},
    {"fi", "Julkaisu epäonnistui puolenpäivän aikaan, koska tietokannan siirto kesti liian kauan."},
    {"fi", "Muista, että tapaamme tiistaina pienessä huoneessa."},
    {"pl", "Wdrożenie nie powiodło się w południe, ponieważ migracja bazy danych trwała zbyt długo."},
    {"pl", "Pamiętaj, że spotykamy się we wtorek w małej sali."},
    {"cs", "Nasazení v poledne selhalo, protože migrace databáze trvala příliš dlouho."},
    {"cs", "Nezapomeň, že se v úterý sejdeme v malé místnosti."},
    {"sk", "Nasadenie na poludnie zlyhalo, pretože migrácia databázy trvala príliš dlho."},
    {"sk", "Nezabudni, že sa v utorok stretneme v malej miestnosti."},
    {"hu", "A telepítés délben meghiúsult, mert az adatbázis költöztetése túl sokáig tartott."},
    {"hu", "Ne felejtsd el, hogy kedden találkozunk a kis szobában."},
    {"ro", "Lansarea a eșuat la prânz pentru că migrarea bazei de date a durat prea mult."},
    {"ro", "Nu uita că ne întâlnim marți în sala mică."},
    {"tr", "Dağıtım öğle saatinde başarısız oldu çünkü veritabanı göçü çok uzun sürdü."},
    {"tr", "Salı günü küçük odada buluşacağımızı unutma."},
    {"id", "Peluncuran gagal pada siang hari karena perpindahan basis data terlalu lama."},
    {"id", "Ingatlah bahwa kita bertemu hari Selasa di ruangan kecil."},
    {"vi", "Việc triển khai thất bại vào buổi trưa vì di chuyển cơ sở dữ liệu quá lâu."},
    {"vi", "Hãy nhớ rằng chúng ta gặp nhau vào thứ ba trong phòng nhỏ."},
    {"ru", "Развёртывание сорвалось в полдень, потому что перенос базы данных занял слишком много времени."},
    {"ru", "Не забудь, что мы встречаемся во вторник в маленькой комнате."},
    {"uk", "Розгортання зірвалося опівдні, тому що перенесення бази даних тривало надто довго."},
    {"uk", "Не забудь, що ми зустрічаємося у вівторок у маленькій кімнаті."},
    {"bg", "Внедряването се провали на обяд, защото прехвърлянето на базата данни отне твърде много време."},
    {"bg", "Не забравяй, че се срещаме във вторник в малката стая."},
    {"hr", "Postavljanje je propalo u podne jer je premještanje baze podataka trajalo predugo."},
    {"hr", "Ne zaboravi da se u utorak nalazimo u maloj sobi."},
    {"ar", "فشل النشر عند الظهر لأن نقل قاعدة البيانات استغرق وقتا طويلا جدا."},
    {"ar", "تذكر أننا نلتقي يوم الثلاثاء في الغرفة الصغيرة."},
    {"fa", "استقرار در ظهر شکست خورد چون انتقال پایگاه داده خیلی طول کشید."},
    {"fa", "یادت باشد که سه شنبه در اتاق کوچک همدیگر را می‌بینیم."},
    {"el", "Η ανάπτυξη απέτυχε το μεσημέρι επειδή η μεταφορά της βάσης κράτησε πολύ."},
    {"he", "הפריסה נכשלה בצהריים כי העברת מסד הנתונים ארכה זמן רב מדי."},
    {"hi", "डेटाबेस के स्थानांतरण में बहुत समय लगने के कारण दोपहर में तैनाती विफल हो गई।"},
    {"th", "การติดตั้งล้มเหลวตอนเที่ยงเพราะการย้ายฐานข้อมูลใช้เวลานานเกินไป"},
    {"ko", "데이터베이스 이전이 너무 오래 걸려서 정오에 배포가 실패했습니다."},
    {"ja", "データベースの移行に時間がかかりすぎたため、正午にデプロイが失敗しました。"},
    {"zh", "由于数据库迁移耗时过长，中午的部署失败了，大家下午再试一次。"},
});
// clang-format on

TEST(GuessLanguage, OfOneSentenceIsRightForHalfAndWrongForNone) {
  std::size_t right = 0;
  for (const auto& [language, text] : kSentences) {
    const std::string_view guess = guess_language(text);
    EXPECT_TRUE(guess == language || guess == kUnknownLanguage) << guess << ": " << text;
    right += guess == language ? 1 : 0;
  }
  EXPECT_GE(right * 2, kSentences.size()) << right << " of " << kSentences.size();
}

TEST(GuessLanguage, OfLanguagesThatAreNearlyAlikeIsRatherUnknownThanWrong) {
  const std::string_view norwegian =
      "Utrullingen mislyktes ved middagstid fordi flyttingen av databasen tok for lang tid. Jeg "
      "vet "
      "ikke hvorfor det skjedde, men vi får prøve igjen i morgen. Husk at vi møtes på tirsdag.";
  const std::string_view guess = guess_language(norwegian);
  EXPECT_TRUE(guess == "nb" || guess == kUnknownLanguage) << guess;
}

TEST(GuessLanguage, OfLittleTextIsUnknown) {
  for (const char* text : {"", "Guten Tag!", "The deploy failed.", "42", "こ"})
    EXPECT_EQ(guess_language(text), kUnknownLanguage) << text;
}

TEST(GuessLanguage, OfCodeAndLogsAndNoiseIsUnknown) {
  for (const char* text :
       {"int main(){ return foo(bar_baz); } // xyz qwe template<class T> auto f(T&& t) -> int;",
        "asdf qwer zxcv uiop hjkl vbnm qazwsx edcrfv tgbyhn ujmikl polkij uhygtf rdeswaq",
        "ERROR 500 GET /api/v1/users/42 timeout=30s retry=3 host=db-7 WARN pool exhausted tid=9",
        "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789"})
    EXPECT_EQ(guess_language(text), kUnknownLanguage) << text;
}

TEST(GuessLanguage, AnyBytesWillDo) {
  std::string bytes;
  for (int i = 0; i < 3'000; ++i) bytes += static_cast<char>(i * 37 % 256);
  EXPECT_FALSE(guess_language(bytes).empty());
  // Cut within a character.
  std::string long_text = "x";
  while (long_text.size() < 700) long_text += "ä";
  EXPECT_FALSE(guess_language(long_text).empty());
}

}  // namespace
}  // namespace asahi::memory::text
