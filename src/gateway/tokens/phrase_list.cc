#include "gateway/tokens/phrase_list.h"

namespace asahi::gateway::tokens {

const std::string_view kPhraseList = R"(
in order to => to
in order for => for
so as to => to
due to the fact that => because
owing to the fact that => because
on account of the fact that => because
in light of the fact that => because
in view of the fact that => because
given the fact that => because
for the reason that => because
for the simple reason that => because
by virtue of the fact that => because
despite the fact that => although
in spite of the fact that => although
regardless of the fact that => although
notwithstanding the fact that => although
apart from the fact that => except that
in the event that => if
in the case that => if
in the event of => if there is
under circumstances in which => when
in circumstances where => when
in situations where => when
in situations in which => when
in a situation where => when
in a situation in which => when
in cases where => when
in cases in which => when
in the case where => when
in instances where => when
at this point in time => now
at the present time => now
at the present moment => now
at this moment in time => now
at the current time => now
at that point in time => then
at the time that => when
on a daily basis => daily
on a weekly basis => weekly
on a monthly basis => monthly
on a regular basis => regularly
on a frequent basis => frequently
on a consistent basis => consistently
on an ongoing basis => continually
on an annual basis => annually
on a case by case basis => case by case
on numerous occasions => often
on several occasions => several times
on a number of occasions => several times
in the near future => soon
in the immediate future => soon
prior to => before
previous to => before
subsequent to => after
subsequently to => after
in advance of => before
in the course of => during
during the course of => during
over the course of => during
throughout the course of => throughout
for the duration of => during
until such time as => until
for the purpose of => for
for the purposes of => for
with the purpose of => for
with the aim of => for
with the goal of => for
with the intention of => for
with a view to => for
with regard to => about
with regards to => about
in regard to => about
in regards to => about
with respect to => about
with reference to => about
in reference to => about
on the subject of => about
on the topic of => about
pertaining to => about
relating to => about
in the context of => in
in the area of => in
in the field of => in
in conjunction with => with
in combination with => with
together with => with
along with => with
in addition to => besides
in accordance with => per
in compliance with => per
by means of => by
by way of => by
through the use of => with
with the use of => with
by making use of => with
make use of => use
makes use of => uses
made use of => used
making use of => using
have the ability to => can
has the ability to => can
have the capability to => can
has the capability to => can
have the capacity to => can
has the capacity to => can
are able to => can
will be able to => can
is able to => can
in a position to => able to
have a tendency to => tend to
has a tendency to => tends to
give consideration to => consider
take into consideration => consider
take into account => consider
taking into account => considering
taking into consideration => considering
make a decision => decide
make a determination => determine
come to a conclusion => conclude
reach a conclusion => conclude
come to an agreement => agree
conduct an investigation of => investigate
conduct an analysis of => analyse
perform an analysis of => analyse
carry out an analysis of => analyse
provide an explanation of => explain
provide an explanation for => explain
provide a description of => describe
provide a summary of => summarize
provide a response to => answer
provide an answer to => answer
provide assistance to => help
provide assistance with => help with
provide support to => support
provide information about => describe
provide you with => give you
provide them with => give them
provide the user with => give the user
provide the customer with => give the customer
provide users with => give users
provide customers with => give customers
offer assistance to => help
give an explanation of => explain
be of assistance to => help
be of assistance => help
render assistance to => help
is of assistance => helps
with the exception of => except
is in need of => needs
are in need of => need
is dependent on => depends on
is dependent upon => depends on
are dependent on => depend on
is reflective of => reflects
is composed of => comprises
a large number of => many
a great number of => many
a significant number of => many
a considerable number of => many
a substantial number of => many
a vast number of => many
a wide variety of => many
a wide range of => many
a broad range of => many
a large variety of => many
a whole range of => many
a variety of => various
a number of => several
a great deal of => much
a large amount of => much
a significant amount of => much
a considerable amount of => much
the majority of => most
the vast majority of => most
the overwhelming majority of => most
a small number of => few
a multitude of => many
a plethora of => many
an abundance of => many
each and every => every
each and every single => every
any and all => all
full and complete => complete
first and foremost => first
basic and fundamental => basic
various different => various
many different => many
end result => result
final outcome => outcome
future plans => plans
past history => history
past experience => experience
advance planning => planning
advance warning => warning
basic fundamentals => basics
completely eliminate => eliminate
completely finished => finished
collaborate together => collaborate
combine together => combine
join together => join
merge together => merge
repeat again => repeat
return back => return
revert back => revert
refer back => refer
added bonus => bonus
free gift => gift
true facts => facts
personal opinion => opinion
general consensus => consensus
new innovation => innovation
new innovations => innovations
currently at this time => now
in a timely manner => promptly
in a timely fashion => promptly
in a prompt manner => promptly
in a polite manner => politely
in a polite and professional manner => politely and professionally
in a polite and friendly manner => politely and in a friendly way
in a professional manner => professionally
in a clear manner => clearly
in a clear and concise manner => clearly and concisely
in a clear and concise way => clearly and concisely
in a clear and understandable way => clearly
in a clear and understandable manner => clearly
in a concise manner => concisely
in a concise way => concisely
in a careful manner => carefully
in a consistent manner => consistently
in a respectful manner => respectfully
in an appropriate manner => appropriately
in an efficient manner => efficiently
in an effective manner => effectively
in an accurate manner => accurately
in an honest manner => honestly
in a helpful manner => helpfully
in a helpful way => helpfully
in a friendly manner => in a friendly way
in a safe manner => safely
in a secure manner => securely
in a structured manner => in a structured way
in such a way that => so that
in such a manner that => so that
in a way that is => so that it is
in a manner that is => so that it is
in a manner which is => so that it is
in a manner of speaking, => 
the way in which => how
the extent to which => how far
the reason why => why
the reason for which => why
the question as to whether => whether
as to whether => whether
as a result of => because of
on the basis of => by
based on the fact that => because
on the grounds that => because
in the absence of => without
in close proximity to => near
in excess of => over
in the majority of cases => usually
in most cases => usually
in many cases => often
in some cases => sometimes
in a large number of cases => often
in the vast majority of cases => usually
for the most part => mostly
to a large extent => largely
to a great extent => largely
to a large degree => largely
to a certain extent => partly
to some extent => partly
to some degree => partly
at a later date => later
at a later time => later
at an earlier date => earlier
at an early date => early
at your earliest convenience => soon
from time to time => sometimes
every now and then => sometimes
every now and again => sometimes
time and time again => often
over and over again => repeatedly
again and again => repeatedly
period of time => period
length of time => time
amount of time => time
point in time => time
in this day and age => today
in today's day and age => today
in today's world => today
in today's fast-paced world => today
in today's modern world => today
in the modern world => today
in the world of today => today
in recent years => recently
in recent times => recently
in the final analysis, => 
at the end of the day, => 
when all is said and done, => 
all things considered, => 
for all intents and purposes, => 
to all intents and purposes, => 
needless to say, => 
as a matter of fact, => 
in actual fact, => 
in point of fact, => 
in fact, => 
in essence, => 
in reality, => 
in truth, => 
in general, => 
generally speaking, => 
broadly speaking, => 
as you may know => 
as you may already know => 
as you probably know => 
as you know, => 
as you are aware => 
as you may be aware => 
as you can imagine => 
as you can see, => 
as we all know => 
as we know, => 
as everyone knows => 
as everybody knows => 
as is well known => 
as already mentioned => 
as mentioned above => 
as mentioned before => 
as mentioned earlier => 
as mentioned previously => 
as previously mentioned => 
as previously stated => 
as stated above => 
as stated before => 
as stated earlier => 
as noted above => 
as noted earlier => 
as described above => 
as discussed above => 
as discussed earlier => 
as i mentioned => 
as i mentioned before => 
as i mentioned earlier => 
as i said, => 
as i said before, => 
as we mentioned => 
as we have seen => 
as has been mentioned => 
as has been said => 
so to speak, => 
of course, => 
by the way, => 
after all, => 
to be honest, => 
to be perfectly honest, => 
to be completely honest, => 
to tell the truth, => 
to put it simply, => 
to put it another way, => 
simply put, => 
it is important to note that => 
it is important to remember that => 
it is important to understand that => 
it is important to mention that => 
it is important to keep in mind that => 
it is important to bear in mind that => 
it is important to realize that => 
it is important to recognize that => 
it is also important to note that => 
it is also important to remember that => 
it is also worth noting that => 
it is worth noting that => 
it is worth mentioning that => 
it is worth pointing out that => 
it is worth remembering that => 
it should be noted that => 
it should also be noted that => 
it should be mentioned that => 
it should be remembered that => 
it should be pointed out that => 
it can be said that => 
it may be said that => 
it could be said that => 
it is possible that => perhaps
it is probable that => probably
it is likely that => probably
it is clear that => 
it is obvious that => 
it is evident that => 
it is apparent that => 
it is a fact that => 
it is well known that => 
it is widely known that => 
it is generally accepted that => 
it is interesting to note that => 
it is safe to say that => 
it turns out that => 
it seems that => apparently
it appears that => apparently
it would appear that => apparently
it would seem that => apparently
it is our hope that => we hope
it is our belief that => we believe
it is our intention to => we intend to
it is advisable to => 
the important thing is that => 
the thing is that => 
the point is that => 
the truth is that => 
the truth of the matter is that => 
the fact of the matter is that => 
the reality is that => 
what this means is that => so
what i mean by this is that => 
what i mean is that => 
what i would like you to do is => 
what i want you to do is => 
what i would like to ask is => 
what we would like you to do is => 
what this means in practice is that => 
&please note that => 
&please be aware that => 
&please be advised that => 
&please keep in mind that => 
&please bear in mind that => 
&please remember that => 
&please understand that => 
&please do remember that => 
&please also note that => 
&please also keep in mind that => 
&please always remember that => always remember that
^kindly note that => 
^kindly be advised that => 
^also note that => 
^also keep in mind that => 
^do keep in mind that => 
^note that => 
^keep in mind that => 
^bear in mind that => 
^remember that => 
^be aware that => 
&you should know that => 
&you should be aware that => 
&you should keep in mind that => 
&you should also keep in mind that => 
&you should bear in mind that => 
&you should note that => 
&you should also note that => 
&you should remember that => 
^i would like to point out that => 
^i would like to mention that => 
^i would like to emphasize that => 
^i would like to stress that => 
^i would like to add that => 
^i would also like to mention that => 
^i would also like to point out that => 
^i should mention that => 
^i should also mention that => 
^i should add that => 
^i want to point out that => 
^i want to emphasize that => 
^i want to make it clear that => 
^i want you to know that => 
^i think that it is fair to say that => 
^i think it is fair to say that => 
^i just wanted to let you know that => 
^we would like to point out that => 
^we would like to emphasize that => 
^we would like to remind you that => 
^we would like you to know that => 
^we want to emphasize that => 
^we want to make sure that => ensure that
^let me begin by saying that => 
^let me start by saying that => 
^let me also mention that => 
^let me say that => 
^let me explain that => 
^let me point out that => 
^allow me to explain that => 
^first of all => first
^with that being said => 
^with that said => 
^that being said => 
^having said that => 
^that said => 
^with all of that in mind => 
^with that in mind => 
^with this in mind => 
^keeping this in mind => 
^to begin with => first
^to start with => first
^in the first place => first
^in conclusion, => 
^to conclude, => 
^to summarize, => 
^in summary, => 
^to sum up, => 
^all in all, => 
^overall, => 
^furthermore, => 
^moreover, => 
^additionally, => 
^in addition, => 
^in addition to this => 
^in addition to that => 
^besides that, => 
^on top of that, => 
^what is more, => 
^naturally, => 
^obviously, => 
^clearly, => 
^evidently, => 
^undoubtedly, => 
^indeed, => 
^basically, => 
^essentially, => 
^generally, => 
^ultimately, => 
^interestingly, => 
^interestingly enough, => 
^importantly, => 
^more importantly, => 
^most importantly, => 
^above all else => above all
&please make sure that you always => always
&please make sure that you never => never
&please make sure that you do not => do not
&please make sure that you => 
&please make sure to always => always
&please make sure to never => never
&please make sure to => 
&please make sure that => ensure
&please be sure to => 
&please be sure that you => 
&please ensure that you always => always
&please ensure that you never => never
&please ensure that you => 
&please ensure that => ensure
&please remember to => 
&please try to => try to
&please do your best to => try to
&please feel free to => feel free to
&please always => always
&please never => never
&please do not => do not
&please don't => don't
&please only => only
&please => 
^kindly => 
^could you please => please
^i would like you to always => always
^i would like you to never => never
^i would like you to => 
^i would also like you to => also
^i'd like you to => 
^i want you to always => always
^i want you to never => never
^i want you to => 
^i also want you to => also
^i need you to => 
^i am asking you to => 
^i am going to ask you to => 
^i expect you to => 
^we would like you to always => always
^we would like you to => 
^we would also like you to => also
^we want you to always => always
^we want you to => 
^we need you to => 
^we ask that you always => always
^we ask that you please => 
^we ask that you => 
^we ask you to => 
^we expect you to always => always
^we expect you to => 
^we kindly ask you to => 
^we kindly ask that you => 
^we would ask that you => 
&you are expected to always => always
&you are expected to => 
&you are also expected to => also
&you are supposed to => 
&you are asked to => 
&you are kindly asked to => 
&you are encouraged to => 
&you are strongly encouraged to => 
&you are instructed to => 
&you will be expected to => 
&you will be asked to => 
&you will need to => 
&you should always make sure to => always
&you should always make sure that you => always
&you should always try to => always try to
&you should always strive to => always try to
&you should always => always
&you should never ever => never
&you should never => never
&you should not => do not
&you should only => only
&you should also always => also always
&you should also make sure to => also
&you should also make sure that you => also
&you should also try to => also try to
&you should also => also
&you should make sure to always => always
&you should make sure to => 
&you should make sure that you => 
&you should make every effort to => try to
&you should do your best to => try to
&you should do everything you can to => try to
&you should strive to => try to
&you should endeavor to => try to
&you should try your best to => try to
&you should take care to => 
&you should be sure to => 
&you should ensure that you => 
&you should ensure that => ensure
&you should => 
&you need to always => always
&you need to make sure to => 
&you need to make sure that you => 
&you need to make sure that => ensure
&you need to ensure that => ensure
&you need to be sure to => 
&you need to => 
&you also need to => also
&you have to => 
&you also have to => also
&you ought to => 
&you can and should => 
^your job is to => 
^your main job is to => 
^your task is to => 
^your main task is to => 
^your primary task is to => 
^your role is to => 
^your primary role is to => 
^your goal is to => 
^your main goal is to => 
^your primary goal is to => 
^your responsibility is to => 
^your primary responsibility is to => 
^your mission is to => 
^your purpose is to => 
^make sure that you always => always
^make sure that you never => never
^make sure that you do not => do not
^make sure that you don't => don't
^make sure that you => 
^make sure you always => always
^make sure you never => never
^make sure you => 
^make sure to always => always
^make sure to never => never
^make sure to => 
^make sure that => ensure
^make absolutely sure that => ensure
^make absolutely sure to => 
^always make sure to => always
^always make sure that you => always
^always make sure that => always ensure
^always be sure to => always
^always remember to => always
^always strive to => always try to
^always do your best to => always try to
^be sure to always => always
^be sure to => 
^remember to always => always
^remember to => 
^do your best to => try to
^do everything you can to => try to
^try your best to => try to
^do make sure to => 
^also make sure to => also
^also make sure that you => also
^also be sure to => also
^take care to => 
^take the time to => 
^take your time to => 
^go ahead and => 
please make sure to => 
please make sure that you => 
please make sure that => ensure
you should always => always
make sure that you always => always
make sure to always => always
to the best of your ability => as well as you can
to the best of your abilities => as well as you can
to the best of your knowledge => as far as you know
at any given time => at any time
at any point in time => at any time
on behalf of => for
on the part of => by
such as for example => such as
is going to be => will be
are going to be => will be
is going to => will
are going to => will
there is a possibility that => perhaps
there is a chance that => perhaps
is considered to be => is
are considered to be => are
is known to be => is
are known to be => are
is said to be => is
is deemed to be => is
serves as a => is a
in an effort to => to
in an attempt to => to
has the potential to => may
have the potential to => may
has an impact on => affects
have an impact on => affect
has an effect on => affects
have an effect on => affect
have an influence on => influence
plays a role in => affects
play a role in => affect
plays an important role in => affects
play an important role in => affect
plays a crucial role in => affects
plays a vital role in => affects
is in charge of => manages
are in charge of => manage
get in touch with => contact
get in contact with => contact
come into contact with => meet
keep track of => track
keep a record of => record
take advantage of => use
put an end to => end
bring to an end => end
bring to a conclusion => conclude
arrive at a decision => decide
give rise to => cause
gives rise to => causes
lead to the result that => cause
is the reason why => is why
is the reason that => is why
the purpose of this document is to => this document is to
the purpose of this section is to => this section is to
the aim of this document is to => this document is to
in this document => here
in this section => here
in this article => here
the aforementioned => the
the above-mentioned => the
the above mentioned => the
any kind of => any
any type of => any
any sort of => any
all kinds of => all
all sorts of => all
all types of => all
some kind of => some
some sort of => some
this kind of => this
this type of => this
these kinds of => these
these types of => these
kinds of things => things
that is to be found in => in
that can be found in => in
that are found in => in
that are located in => in
that is located in => in
which is located in => in
that are related to => about
that is related to => about
which are related to => about
~very
~really
~extremely
~absolutely
~incredibly
~tremendously
~exceptionally
~extraordinarily
~remarkably
~immensely
~enormously
~hugely
~truly
~quite
~actually
~basically
~literally
~totally
~utterly
~certainly
~definitely
~surely
~undoubtedly
~essentially
~indeed
~highly
~greatly
~deeply
~simply
~perfectly
!it is necessary
!it is essential
!it is crucial
!it is vital
!it is critical
!it is imperative
!it is important
!it is very important
!it is extremely important
!it is absolutely essential
!it is absolutely crucial
!it is of great importance
!it is of the utmost importance
!it is of utmost importance
!it is of paramount importance
!it is really important
!it is really very important
!it is also important
!it is also essential
!it is also crucial
!it is therefore important
!it is therefore essential
!it is therefore necessary
!it is also very important
^for this reason, => so
^for that reason, => so
^for these reasons, => so
^because of this, => so
^as a result, => so
^as a result of this, => so
^as a consequence, => so
^as a consequence of this, => so
because of the fact that => because
by reason of the fact that => because
in consequence of the fact that => because
aware of the fact that => aware that
the process of => 
take a look at => look at
takes a look at => looks at
taking a look at => looking at
have a look at => look at
in order to make sure that this is the case => to ensure this
to make sure that this is the case => to ensure this
make sure that this is the case => ensure this
which is to say => i.e.
it would be great if you could => 
it would be really great if you could => 
it would also be great if you could => also
it would also be really great if you could => also
it would be nice if you could => 
it would be really nice if you could => 
it would be helpful if you could => 
it would be wonderful if you could => 
it would be appreciated if you could => 
it would be much appreciated if you could => 
it would be very much appreciated if you could => 
it would be greatly appreciated if you could => 
it would be highly appreciated if you could => 
it would also be appreciated if you could => also
we would appreciate it if you could => 
we would really appreciate it if you could => 
we would very much appreciate it if you could => 
i would appreciate it if you could => 
i would really appreciate it if you could => 
i would be grateful if you could => 
i would be very grateful if you could => 
we would be grateful if you could => 
i was wondering if you could => 
i was wondering whether you could => 
be so kind as to => 
be kind enough to => 
what we are looking for is => we want
what i am looking for is => i want
what we need from you is => we need
what i need from you is => i need
what we would like to ask you to do is => 
what we would like you to do is to => 
what i would like you to do is to => 
what you are going to be doing is => you will be
what you will be doing is => you will be
what you should do instead is to => instead
what you should do is to => 
what you need to do is to => 
what you have to do is to => 
the purpose of this is to => this is to
the role that you are going to be playing is that of => you are
you are going to be => you will be
whenever it is possible to do so => whenever possible
where it is possible to do so => where possible
if it is possible to do so => if possible
whenever it is possible => whenever possible
to the greatest extent possible => as far as possible
as has already been mentioned => 
as has been mentioned above => 
as has been pointed out => 
as a general rule, => 
as a rule, => 
as people like to say, => 
as they say, => 
at the very beginning of => at the start of
at the very end of => at the end of
the vast majority of the => most of the
the majority of the => most of the
the majority of people => most people
the majority of users => most users
the majority of customers => most customers
a little bit => a bit
a great many => many
quite a few => many
a good many => many
on top of the above => besides
in addition to the above => besides
besides the above => besides
in the case of => for
in the event that it is => if it is
in the event you => if you
in the event a => if a
is subject to change => may change
are subject to change => may change
come to an end => end
comes to an end => ends
is in contradiction with => contradicts
are in contradiction with => contradict
is in conflict with => conflicts with
is in accordance with => follows
are in accordance with => follow
is in agreement with => agrees with
are in agreement with => agree with
for a period of => for
over a period of => over
within a period of => within
during a period of => during
in comparison to => compared to
in comparison with => compared with
as compared to => compared to
with the result that => so that
in the hope that => hoping that
to such an extent that => so much that
under the condition that => if
on the condition that => if
on condition that => if
it is possible for you to => you can
it is possible to => you can
it is a good idea to => 
it is also a good idea to => also
it is best to => 
it is advised to => 
it is suggested to => 
you are able to => you can
you will be able to => you can
we are going to => we will
i am going to => i will
they are going to => they will
there are a large number of => there are many
there are many different => there are many
there exist many => there are many
a large part of => much of
a significant part of => much of
a significant portion of => much of
a substantial part of => much of
one and the same => the same
both of the => both
all of the => all the
all of these => all these
all of those => all those
all of our => all our
all of your => all your
all of this => all this
outside of => outside
inside of => inside
off of => off
up until => until
meet up with => meet
later on => later
early on => early
in a clear way => clearly
in a polite way => politely
in a professional way => professionally
in a friendly and professional manner => in a friendly, professional way
in a friendly and helpful manner => in a friendly, helpful way
in a constructive manner => constructively
in a constructive way => constructively
in a responsible manner => responsibly
in a responsible way => responsibly
in a careful way => carefully
in a neutral manner => neutrally
in a neutral way => neutrally
in an objective manner => objectively
in an objective way => objectively
in a detailed manner => in detail
in a detailed way => in detail
in great detail => in detail
in a precise manner => precisely
in an honest way => honestly
in an easy to understand way => understandably
in an understandable manner => understandably
in an understandable way => understandably
in a simple way => simply
in a simple manner => simply
on your own => yourself
just to be clear, => 
to be clear, => 
to be more specific, => 
more specifically, => 
and please => and
but please => but
so please => so
then please => then
&you will want to => 
^we ask you to please => 
^we kindly ask you => 
^i kindly ask you to => 
^the main thing is that => 
^the most important thing is that => 
^another thing to keep in mind is that => also
^another important thing is that => also
^it is also the case that => also
)";

const std::string_view kPuffery =
    "amazing appreciate appreciated appreciation aspire aspiring award-winning awesome beautiful "
    "believe believes best brilliant care cares caring celebrate cherish commitment committed "
    "community continue continuously cutting-edge dedicated dedication delight delighted "
    "delivering "
    "differentiate dream dreams dynamic embrace embraces empower empowering encourage endeavor "
    "energy enjoy enthusiasm enthusiastic ever-changing evolving exceed exceeding excellence "
    "excellent exceptional excited excitement exciting experience experiences extraordinary "
    "fantastic fast-paced finest foremost forefront forward friendly future glad goal goals great "
    "greatest grateful growing grow happy heart highest honored hope hopes hopefully importance "
    "important incredible industry-leading innovate innovation innovations innovative inspire "
    "inspired inspiring integrity invaluable journey joy know landscape leader leaders leading "
    "legacy life lives looking love loved loves loyal loyalty market-leading matter matters "
    "meaningful mission modern moment moments nice outstanding partner partners partnership "
    "passion "
    "passionate people perfect pleased pleasure possibilities possible premier pride prides proud "
    "proudly quality really relationship relationships remarkable respected shared smile special "
    "spirit state-of-the-art stellar strive strives striving strong success successful superb "
    "superior support supportive take talented team teams thrilled thrive thriving time today top "
    "top-notch tremendous trust trusted truly understand unique unmatched unparalleled unwavering "
    "utmost valuable value valued values very vibrant vision visionary warm welcome wonderful "
    "wonderfully work world world-class years ourselves everything everyone always-on customers "
    "company business";

const std::string_view kMood =
    "absurd adore admire admiration amazing appreciate art asset aspire astonishing beautiful "
    "beauty "
    "beloved best blessed bless brave breathtaking bright brilliant care cares caring charm "
    "charming "
    "cheerful cherish comfort commitment committed confidence confident courage cozy curiosity "
    "curious "
    "dear dedication delight delighted delightful dignity dream dreams dynamic ease easy elegant "
    "embrace emotion emotional energy enjoy enjoyable enthusiasm enthusiastic envy excellence "
    "excellent "
    "exceptional excited excitement exciting exhausting extraordinary fabulous famous fantastic "
    "fascinating fascination favorite favourite feel feeling finest firmly fond forefront forever "
    "frustrating frustration fun future gift glad glorious grateful gratitude great greatest "
    "happiness "
    "happy hard heart heartfelt honor honored honour honoured hope hopes hopeful hospitality "
    "humble "
    "important importance impressive incredible innovation innovative inspire inspired inspiring "
    "inspiration intelligent interesting invaluable joy journey joyful kind kindness laugh "
    "laughter "
    "legendary lively love loved lovely loves loyal luck lucky magic magical marvel marvellous "
    "marvelous "
    "meaningful memorable memories miracle mood mutual mystery nice optimism outstanding paradise "
    "passion passionate patience peace perfect pity pleasant pleased pleasure pleasures popular "
    "powerful precious pride privilege proud rare regret remarkable reputation respect respected "
    "reward rewarding sad satisfaction satisfied satisfying shame sincere sincerely smile smiles "
    "soul "
    "special spirit spirits splendid strive striving strong strongest stunning superb surprise "
    "surprised talented thankful thrilled thrive tireless touching treasure trust trusted truth "
    "unforgettable unique unmatched unpleasant value values virtue vision warmth welcome wish "
    "wishes "
    "wonder wonderful world-class worthwhile worry worries";

const std::string_view kSpeechMatters =
    "tone style format formats language languages audience answer answers answering response "
    "responses "
    "respond reply replies output outputs reader readers write writing written word words wording "
    "sentence sentences paragraph length short long brief concise simple plain friendly warm "
    "polite "
    "formal informal professional persona voice character personality humor humour emoji emojis "
    "role "
    "user's topic topics subject";

const std::string_view kFillerOpenings = R"(
thank you
thanks
many thanks
i hope
i really hope
i do hope
we hope
i trust
we trust
i am writing to
i'm writing to
i am reaching out
i'm reaching out
i wanted to reach out
hello
hello and welcome
hello there
hi
hi there
hey
hey there
welcome aboard
welcome to the
warm welcome
a warm welcome
congratulations
good day
once again thank
dear
good morning
good afternoon
good evening
greetings
welcome
nice to meet you
pleased to meet you
it is a pleasure
it's a pleasure
it is great
it's great
it is wonderful
it's wonderful
i appreciate
we appreciate
i really appreciate
we really appreciate
i would appreciate
i am very grateful
i am grateful
we are grateful
we are excited
we are very excited
we are thrilled
we are so excited
we are delighted
we are happy
we are pleased
we are proud
we are very proud
we take pride
we take great pride
we pride ourselves
we look forward
i look forward
looking forward
have a great
have a nice
have a good
have a wonderful
have a lovely
best regards
kind regards
sincerely
sorry for the
apologies for
feel free to
let me know
let us know
don't hesitate
please don't hesitate
please do not hesitate
do not hesitate
you're welcome
you are welcome
my pleasure
no problem
no worries
glad to hear
glad i could
i'm glad
i am glad
i'm happy to
i am happy to
i'd be happy to
i would be happy to
happy to help
sure thing
sure
certainly
of course
absolutely
great question
that's a great
that is a great
that's great
that is great
that is fantastic
that's fantastic
that is wonderful
that's wonderful
that is good news
that is excellent
what a
what an
good job
great job
well done
you have done a
you're doing
you are doing
i am sorry to hear
i'm sorry to hear
i am very happy
i am so happy
i am really
i'm really
good question
excellent question
that sounds great
sounds good
perfect
awesome
wonderful
i understand how
i completely understand
i totally understand
we understand how
we know how
needless to say
as you can see
it goes without saying
)";

const std::string_view kImperatives =
    "abide accept acknowledge act adapt add address adhere adjust admit advise agree aim alert "
    "align "
    "allow analyse analyze answer anticipate apologise apologize apply approach arrange ask assess "
    "assign assist assume attach attempt avoid base be begin break bring build calculate call "
    "cancel "
    "capture change characterize check choose cite clarify classify clean clear close collect "
    "combine "
    "come communicate compare compile complete compose compute conclude condense confine confirm "
    "consider consult contact continue convert convey copy correct count cover create cut decide "
    "decline decrease define delete deliver demonstrate deny describe detail detect determine "
    "develop "
    "diagnose differentiate direct disclose discuss display distinguish do document don't double "
    "draft "
    "draw edit elaborate eliminate emphasize employ enable encourage end enforce ensure enter "
    "escalate establish estimate evaluate examine exclude execute expand explain explore express "
    "extract fetch file fill filter find finish fix flag focus follow format formulate gather "
    "generate "
    "get give go greet group guard guide halt handle help highlight hold identify ignore "
    "illustrate "
    "implement improve include incorporate increase indicate infer inform insert inspect install "
    "instruct integrate interpret introduce investigate invite issue join judge justify keep label "
    "lead leave let limit link list listen locate log look maintain make manage map mark match "
    "measure "
    "mention merge mind minimize mirror modify monitor move name never note notify number observe "
    "offer "
    "omit only open optimize order organise organize outline output parse pass pause pay perform "
    "pick "
    "place plan please point postpone prefer prepare present preserve prevent print prioritise "
    "prioritize proceed process produce promise prompt proofread propose protect prove provide put "
    "quote raise rate read recall recommend record redirect reduce refer refine reflect refrain "
    "refuse "
    "reject relate rely remain remember remind remove rename repeat rephrase replace reply report "
    "represent request require reset resolve respect respond restate restrict return reveal review "
    "revise rewrite route run save say scan schedule search secure see select send separate set "
    "share "
    "shorten should show sign simplify skip solve sort speak specify split spell stand start state "
    "stay stick stop store strip structure submit substitute suggest summarise summarize supply "
    "support "
    "take talk target tell test think track transform translate transfer treat trim try turn type "
    "unless update upload use utilize validate verify view wait walk warn watch weigh wrap write "
    "always";

}  // namespace asahi::gateway::tokens
