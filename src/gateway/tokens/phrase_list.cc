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
in the event of there being => if there is
in case of there being => if there is
should it be the case that => if
should it turn out that => if
should it happen that => if
if it should be the case that => if
if it turns out that => if
if it so happens that => if
if it happens that => if
if it is the case that => if
if you happen to find that you => if you
if you happen to => if you
if you should happen to => if you
if you find that you => if you
if you find yourself in a situation where => if
should happen to => should
whether or not => whether
regardless of whether or not => regardless of whether
the question of whether => whether
the question of how => how
the question of what => what
the fact that => that
&i was wondering if you could possibly => 
&i was wondering if you could please => 
&i was hoping that you could => 
&i was hoping you could => 
&i am hoping that you can => 
&we were wondering if you could => 
&we were hoping that you could => 
&we were hoping you could => 
would you be so kind as to => please
would you be able to => can you
would it be possible for you to => can you
if you could possibly => if you could
&it would be wonderful if you would kindly => 
&it would be wonderful if you would => 
&it would be great if you would => 
&it would be nice if you would => 
&it would be lovely if you could => 
&it would be really lovely if you could => 
&it would be fantastic if you could => 
&it would be ideal if you could => 
it would be preferable if you could => preferably
&it would be best if you could => 
&it would be good if you could => 
&it would mean a lot if you could => 
&it would mean a lot to me if you could => 
&we would be most grateful if you could => 
&we would be most grateful if you would => 
&we would be very grateful if you could => 
&we would be much obliged if you would => 
&we would be much obliged if you could => 
&i would be much obliged if you could => 
&i would be most grateful if you could => 
&i would be so grateful if you could => 
&i would really like it if you could => 
&i would love it if you could => 
&i would love for you to => 
&we would love for you to => 
&we'd love for you to => 
&i'd love for you to => 
&i'd love it if you could => 
&i'd appreciate it if you could => 
&i'd really appreciate it if you could => 
&we'd appreciate it if you could => 
&i'd be grateful if you could => 
&i would very much like you to => 
&i would really like you to => 
&i'd really like you to => 
&i really want you to => 
&i really need you to => 
^we'd like you to => 
^we'd like to ask you to => 
^we would like to ask you to => 
^we would like to ask you => 
^i would like to ask you to => 
^i'd like to ask you to => 
^i would like to ask that you => 
^i would like to request that you => 
^we would like to request that you => 
&we would like to request that you => 
&we would like to ask you to => 
&i would like to ask you to please => 
&i would like to ask you to => 
i am writing to you in connection with => about
i am writing with regard to => about
i am writing in regard to => about
make an effort to => try to
make every effort to => try to
make an attempt to => try to
make a serious attempt to => try to
makes an attempt to => tries to
in an attempt at => to try
take it upon yourself to => 
put some effort into => work on
&it is recommended that you => 
&it is recommended to => 
&it is highly recommended that you => 
&it is highly recommended to => 
&it is strongly recommended that you => 
&it is strongly recommended to => 
&it is advisable that => 
&it is advisable for you to => 
&it is suggested that you => 
&it is hereby noted that => 
&it is hereby stated that => 
&it should be understood that => 
&it should be kept in mind that => 
&it should be borne in mind that => 
&it should be emphasized that => 
&it should be stressed that => 
&it should be stated that => 
it should also be mentioned that => also
it should also be pointed out that => also
it should also be kept in mind that => also
it should perhaps also be mentioned that => also
&it should be clear that => 
it is also worth bearing in mind that => 
it is also worth mentioning that => 
it is also worth keeping in mind that => 
it is worth bearing in mind that => 
it is worth keeping in mind that => 
it is also very much worth noting that => 
it is very much worth noting that => 
&it's worth noting that => 
&it's also worth noting that => 
&it's worth mentioning that => 
&it's worth pointing out that => 
&it's worth remembering that => 
&it's worth keeping in mind that => 
&it's important to note that => 
&it's important to remember that => 
&it's important to keep in mind that => 
&it's important to understand that => 
&it's also important to note that => 
&it's very important to note that => 
&it's fair to say that => 
&i think it's fair to say that => 
&i think that it's fair to say that => 
&it's safe to say that => 
&it's clear that => 
&it's obvious that => 
it's possible that => perhaps
it's likely that => probably
^the thing is, => 
^the fact is that => 
^the fact is, => 
^the truth is, => 
^the reality is, => 
^the idea is that => 
^the idea here is that => 
^the point here is that => 
^the basic idea is that => 
^the good news is that => 
^the important part is that => 
^the key thing is that => 
^the bottom line is that => 
^long story short, => 
^long story short => 
^to make a long story short, => 
^to cut a long story short, => 
^so here's the deal, => 
^here's the thing, => 
^just to give you some context, => 
^to give you some context, => 
^to give you some background, => 
^just to give you some background, => 
^just to make it crystal clear, => 
^just to make it clear, => 
^to make it clear, => 
^to make this clear, => 
^to be crystal clear, => 
^just so you know, => 
^for your information, => 
^for what it's worth, => 
^for the record, => 
^for the avoidance of doubt, => 
^for the avoidance of any doubt, => 
^to be more precise, => 
^to be precise, => 
^to be specific, => 
^to put it differently, => 
^put differently, => 
^in other words, => 
^in simple terms, => 
^in simple words, => 
^in plain words, => 
^in short, => 
^in a nutshell, => 
^in brief, => 
^as far as i know, => 
^to the best of my knowledge, => 
^if you ask me, => 
^if i'm being honest, => 
^to be fair, => 
^to be frank, => 
^truth be told, => 
^as luck would have it, => 
^as it turns out, => 
^as it happens, => 
^as is often the case, => often
^as is usually the case, => usually
^when it comes down to it, => 
^when it comes to that, => 
^at its core, => 
^at the very least, => at least
^last but not least, => not least
^and last but not least, => not least
^on a side note, => 
^on that note, => 
^on another note, => 
^as a side note, => 
^as an aside, => 
^speaking of which, => 
^that being the case, => so
^as such, => 
^consequently, => so
^accordingly, => so
^therefore, => so
^thus, => so
^hence, => so
^in that case, => then
^in such a case, => then
^in such cases, => then
^if that is the case, => if so
^if this is the case, => if so
^by all means, => 
^first things first, => first
^first off, => first
^for starters, => first
^to kick things off, => first
^to get started, => first
^last of all, => last
^anyway, => 
^anyways, => 
^anyhow, => 
^so yeah, => 
^okay so => 
^ok so, => 
^ok so => 
^ok, => 
^okay, => 
^alright, => 
^alright so => 
^all right, => 
^so basically => 
^so basically, => 
^so essentially => 
^you see, => 
^you know, => 
^look, => 
^listen, => 
^honestly, => 
^frankly, => 
^personally, => 
^admittedly, => 
^arguably, => 
^hopefully, => 
^fortunately, => 
^luckily, => 
^thankfully, => 
^surely, => 
^certainly, => 
^absolutely, => 
^definitely, => 
^again, => 
^once again, => 
^once more, => 
^and once more, => 
^and once again, => 
^and again, => 
^i repeat, => 
^to repeat, => 
^let me repeat, => 
^let me repeat that => 
^let me reiterate that => 
^let me stress that => 
^let me emphasize that => 
^let me stress again that => 
^let me emphasize again that => 
^let me be clear, => 
^let me be clear that => 
^let me just say that => 
^let me just mention that => 
^let me remind you that => 
^let me add that => 
^allow me to add that => 
^allow me to say that => 
^allow me to remind you that => 
^to reiterate, => 
^i want to reiterate that => 
^i would like to reiterate that => 
^i'd like to reiterate that => 
^we would like to reiterate that => 
^we want to reiterate that => 
^i want to repeat that => 
^i want to stress that => 
^i want to stress again that => 
^i also want to stress that => 
^i also want to mention that => 
^i also want to point out that => 
^i also want to emphasize that => 
^it bears repeating that => 
^it is once again emphasized that => 
^it is again emphasized that => 
^it is emphasized that => 
^it is stressed that => 
^as stated previously, => 
^as previously mentioned, => 
^as previously noted, => 
^as mentioned, => 
^as noted, => 
^as stated, => 
^as was mentioned above, => 
^as was mentioned before, => 
^as was said before, => 
^as was stated above, => 
^as has been said before, => 
^as has been mentioned before, => 
^as we have mentioned, => 
^as we have already mentioned, => 
^as i have mentioned, => 
^as i have already mentioned, => 
^as i already mentioned, => 
^as i already said, => 
^like i said, => 
^like i said before, => 
^like i mentioned, => 
^as many observers have pointed out, => 
^as you can probably imagine, => 
^as you can imagine, => 
^as you might imagine, => 
^as you may have noticed, => 
^as you might know, => 
^as you might already know, => 
^as you are probably aware, => 
^as you will see, => 
^as might be expected, => 
^as usual, => 
^as the saying goes, => 
^it is often said that => often,
^it is said that => 
^some people say that => some say that
^many people believe that => many believe that
^many people think that => many think that
^it is commonly known that => 
^it is common knowledge that => 
^everybody knows that => 
^everyone knows that => 
^we all know that => 
^there is no doubt that => 
^there can be no doubt that => 
^without a doubt, => 
^without any doubt, => 
without any doubt => 
without a doubt => 
beyond any doubt => 
beyond a doubt => 
&please be informed that => 
&please be reminded that => 
&please be careful to => 
&please be extra careful to => 
&please take care to => 
&please also be aware that => 
&please also make sure to => also
&please also make sure that => also ensure
&please do make sure that you => 
&please do make sure to => 
&please do make sure that => ensure
&please do ensure that => ensure
&please do => 
&please go ahead and => 
&please just go ahead and => 
&please just => 
&please kindly => 
&please take the time to => 
&please take a moment to => 
&please take note that => 
&please take into account that => 
&please take into consideration that => 
&please don't forget to => don't forget to
&please do not forget to => do not forget to
&please keep in mind to => 
&please be mindful that => 
&please be reminded to => 
&kindly make sure to => 
&kindly make sure that => ensure
&kindly ensure that => ensure
&kindly refrain from => refrain from
&you should please => 
&you should just => 
&you should simply => 
&you should go ahead and => 
&you should therefore => 
&you should then => then
&you should first of all => first
&you should first => first
&you should at all times => always
&you should do this by => do this by
&you should take a look at => look at
&you should remember to => 
&you should remember to always => always
&you are going to have to => 
&you are going to need to => 
&you'll need to => 
&you'll want to => 
&you'll have to => 
&you'll be expected to => 
&you are to => 
&you are free to => you may
&you are welcome to => you may
&you are more than welcome to => you may
&you can feel free to => you may
&you are advised to => 
&you are kindly requested to => 
&you are requested to => 
&you are reminded to => 
&you are reminded that => 
&all you need to do is => 
&all you have to do is => 
&what you need to do is => 
&what you have to do is => 
&what you should do is => 
&what you are expected to do is to => 
&what you are expected to do is => 
&what you'll need to do first is to => first
&what you'll need to do is to => 
&what you'll be doing is that you'll be => you'll be
&what you're going to do is to => 
&what you are going to do is to => 
&what you are going to do is => 
&what i would really like for you to do is to => 
&what i would like for you to do is to => 
&what i would really like you to do is to => 
&what i would really like you to do is => 
&what i want you to do is to => 
&what i need you to do is to => 
&what i need you to do is => 
&what i want is for you to => 
&what i need is for you to => 
&what i would like is for you to => 
&what i would like to see is that => ensure
&what we want you to do is to => 
&what we want you to do is => 
&what we need you to do is to => 
&what we need you to do is => 
&what we want is for you to => 
&what happens is that => 
&what i have noticed is that => 
&what i have been doing is that => 
&what we have been doing is that => 
^your job here is to => 
^your job is going to be to => 
^your job will be to => 
^your task here is to => 
^your task will be to => 
^your task is going to be to => 
^your role here is to => 
^your duty is to => 
^your duties are to => 
^your main responsibility is to => 
^your main responsibility will be to => 
^your responsibilities are to => 
^your main goal is always to => always
^your objective is to => 
^your main objective is to => 
^your primary objective is to => 
^your aim is to => 
^it is your job to => 
^it is your task to => 
^it is your responsibility to => 
^it is your duty to => 
^it's your job to => 
^so it's your job to => 
^the main thing that you should always keep in the back of your mind is that => always remember that
^in your capacity as an => as an
^in your capacity as a => as a
^in your role as an => as an
^in your role as a => as a
^in this task your job is going to be to => 
^in the following conversation, => 
you are going to be acting as => act as
you're going to be acting as => act as
you will be acting as => act as
you will be taking on the role of => you are
you will be playing the role of => you are
you will take on the role of => you are
you are taking on the role of => you are
take on the role of => act as
take on the role of being => act as
play the role of => act as
assume the role of => act as
you are basically going to be => you are
you will basically be => you are
you have been chosen to be => you are
you have been assigned to the position of => you are
you have been assigned the role of => you are
you have been designed to => you
you have been created to => you
you are an assistant whose job it is to => you
you are an assistant whose job is to => you
you are an assistant that is responsible for => you are responsible for
you are an assistant who is responsible for => you are responsible for
the role that you play is => your role is
the purpose of this prompt is to => 
the following is a description of => this is
the following is a list of => these are
what follows is a list of => these are
below you will find => below is
below you can find => below is
that can be found below => below
which can be found below => below
that are listed below => below
which are listed below => below
that is listed below => below
that is given below => below
that is provided below => below
that are provided below => below
provided to you below => below
given to you below => below
a total of => 
somewhere around => about
in the vicinity of => near
in the amount of => of
to the amount of => of
a large volume of => many
a high number of => many
a huge number of => many
an enormous number of => many
a vast amount of => much
a huge amount of => much
an enormous amount of => much
a tremendous amount of => much
a sufficient amount of => enough
a sufficient number of => enough
an adequate amount of => enough
an adequate number of => enough
a considerable proportion of => many
a large proportion of => many
a significant proportion of => many
a good portion of => much of
a large portion of => much of
a whole lot of => many
a whole bunch of => many
a bunch of => some
a lot of different => many
a lot of the time => often
lots and lots of => many
a whole host of => many
a wide array of => many
a broad variety of => many
a great variety of => many
a great range of => many
a certain amount of => some
a certain number of => some
a certain degree of => some
a high degree of => much
a great degree of => much
with regards to the => about the
as far as it is possible to do so => if possible
as far as it is possible => if possible
as concise as is reasonably possible => concise
as concise as possible => concise
as short as it possibly can be => as short as possible
as thorough as you can possibly be => thorough
as closely as you possibly can => closely
as much as you possibly can => as much as possible
as best as you possibly can => as well as you can
in a step by step fashion => step by step
in a step by step manner => step by step
in a step-by-step fashion => step by step
in a step-by-step manner => step by step
in a way that is calm => calmly
in a careful and thorough manner => carefully and thoroughly
in a friendly way => kindly
in a thoughtful manner => thoughtfully
in a warm and friendly manner => warmly
in a gentle manner => gently
in a calm manner => calmly
in a quick manner => quickly
in a similar manner => similarly
in a similar way => similarly
in a similar fashion => similarly
in a different way => differently
in a different manner => differently
in a logical manner => logically
in an engaging manner => engagingly
in an engaging way => engagingly
in an informative manner => informatively
in an appropriate way => appropriately
in an objective and neutral manner => objectively
in the best possible way => well
in the best way possible => well
in the form of => as
in the process of => 
in the midst of => in
in the middle of the process of => 
in the back of your mind => in mind
in the same way as => like
of a constructive nature => constructive
constructive in nature => constructive
of great importance => important
of considerable importance => important
of vital importance => vital
of the utmost importance => vital
of utmost importance => vital
of paramount importance => vital
of the essence => essential
is of great importance => matters
which consists of => of
that consists of => of
which is made up of => of
that is made up of => of
which have a duration of => of
that have a duration of => of
has a duration of => lasts
have a duration of => last
has a length of => is
have a length of => are
has a height of => is
has a weight of => weighs
has a total of => has
have a total of => have
is in possession of => has
are in possession of => have
in possession of => with
who are in the process of => who are
is in the process of => is
are in the process of => are
who are having trouble with => with trouble in
is having trouble with => has trouble with
are having trouble with => have trouble with
is having problems with => has problems with
are having problems with => have problems with
has the right to => may
have the right to => may
have the option to => may
has the option to => may
have the opportunity to => can
has the opportunity to => can
have the chance to => can
have the possibility to => can
have a good understanding of => understand
has a good understanding of => understands
have a deep understanding of => understand
has a deep understanding of => understands
have knowledge of => know
has knowledge of => knows
have an understanding of => understand
be in line with => follow
is in line with => follows
are in line with => follow
come up with => find
go out there and => 
take the opportunity to => 
would like to take this opportunity to => 
take this opportunity to => 
take a moment to => 
take some time to => 
taking the time to => 
make a note of => note
make mention of => mention
makes mention of => mentions
make reference to => cite
makes reference to => cites
make changes to => change
make any changes to => change
makes changes to => changes
make a change to => change
make modifications to => change
make improvements to => improve
make adjustments to => adjust
make a choice => choose
make a selection => select
make a contribution to => contribute to
make a recommendation => recommend
make recommendations => recommend
make a suggestion => suggest
make suggestions => suggest
make a request => request
make a comparison between => compare
make a comparison of => compare
make an assumption => assume
make assumptions => assume
make a complaint => complain
make a complaint about => complain about
make arrangements for => arrange
make inquiries about => ask about
perform a check => check
perform a search => search
perform a review of => review
carry out a review of => review
carry out a check of => check
conduct a review of => review
conduct a search => search
do a search => search
do research on => research
give a description of => describe
give a summary of => summarize
give an overview of => outline
give an answer to => answer
give a response to => answer
give advice to => advise
give help to => help
give somebody help => help
give priority to => prioritize
give information about => describe
give them information about => tell them about
give the user information about => tell the user about
give the impression => suggest
offer advice => advise
offer any form of => offer
offer help to => help
offer support to => support
provide an overview of => outline
provide a list of => list
provide a detailed explanation of => explain in detail
provide a detailed description of => describe in detail
provide a brief explanation of => briefly explain
provide a brief explanation as to => briefly explain
provide a brief summary of => briefly summarize
provide a brief description of => briefly describe
provide a clear explanation of => clearly explain
provide a clear answer to => clearly answer
provide an assessment of => assess
provide an analysis of => analyze
provide an evaluation of => evaluate
provide a recommendation => recommend
provide recommendations => recommend
provide advice to => advise
provide advice on => advise on
provide guidance on => guide on
provide guidance to => guide
provide help to => help
provide help with => help with
provide feedback on => comment on
provide answers to => answer
provide solutions to => solve
provide a solution to => solve
provide the reader with => give the reader
provide readers with => give readers
provide people with => give people
provide us with => give us
provide me with => give me
the reason for this is that => because
the reason being that => because
the reason behind this is that => because
the reason for that is that => because
as to the reason why => why
as to the reason for which => why
as to why => why
as to how => how
as to what => what
as to which => which
as to when => when
in order that => so that
in order for you to => for you to
in order for us to => for us to
so that you are able to => so you can
so that you will be able to => so you can
so that they are able to => so they can
so that it is possible to => to
with the result being that => so
with this goal in mind, => so
with the help of => with
with the assistance of => with
with the exception of those => except those
with the possible exception of => except
in the company of => with
in the direction of => toward
in the interest of => for
in the interests of => for
in support of => for
in favor of => for
in return for => for
in exchange for => for
in place of => instead of
in lieu of => instead of
in spite of => despite
in line with => per
in keeping with => per
in relation to => about
in connection with => about
in association with => with
in cooperation with => with
in collaboration with => with
in respect of => about
on the topic of the => about the
on the occasion of => at
on the part of the => by the
on the other hand, => but
at the very moment => when
at the moment when => when
at the moment => now
at the same time, => 
at the conclusion of => after
as of now => now
as of right now => now
as of this moment => now
up to now => so far
for the time being => for now
over the course of the last few => during the last few
over the course of the past few => during the past few
during the time that => while
during the time when => while
during the course of the => during the
throughout the entire => throughout the
throughout the whole => throughout the
the whole of the => the whole
the entirety of the => the whole
the entirety of => all of
in its entirety => completely
in their entirety => completely
from the very beginning => from the start
from start to finish => throughout
from all over the world => worldwide
all over the world => worldwide
around the world => worldwide
pretty much all => almost all
pretty much everybody => almost everybody
pretty much everyone => almost everyone
pretty much every => almost every
more or less all => almost all
more or less => roughly
give or take => roughly
each and everyone => everyone
every single one of them => all of them
every single => every
each one of them => each
each one of the => each
each and every one of them => each
each and every one of the => each of the
all of them => all
all of us => all
some of the => some
many of the => many
most of the time => usually
much of the time => often
some of the time => sometimes
the other way around => reversed
the same exact => the same
the exact same => exactly the same
and also => and
and so on and so forth => etc.
and so forth => etc.
and so on => etc.
and things like that => etc.
and stuff like that => etc.
or something like that => 
or something along those lines => 
if you know what i mean => 
if that makes sense => 
&you know what i mean => 
needless to say => 
to be honest => 
to be perfectly honest => 
to tell you the truth => 
to say the least => 
so to speak => 
as it were => 
in a manner of speaking => 
of any kind whatsoever => of any kind
whatsoever => 
at all possible => possible
if at all possible => if possible
if possible at all => if possible
wherever it is appropriate to do so => where fitting
when it is appropriate to do so => where fitting
where it is appropriate to do so => where fitting
when appropriate => where fitting
immediately and without delay => immediately, without delay
right away => immediately
straight away => immediately
in a nutshell => 
in my mind => 
&i have to say that => 
&i have to say => 
&i just want to say that => 
&i just wanted to say that => 
&i just want to mention that => 
&i would like to say that => 
&i would just like to say that => 
&i would like to begin by saying that => 
&i would like to start by saying that => 
&i would like to start off by saying that => 
&i would like to let you know that => 
&i wanted to let you know that => 
&i want to let you know that => 
i am of the opinion that => i think
i am of the belief that => i believe
i am under the impression that => i think
i have the feeling that => i feel
i have a feeling that => i feel
i get the feeling that => i feel
it is my opinion that => i think
it is my understanding that => i understand
it is my belief that => i believe
it is my hope that => i hope
it is our sincere wish that => we wish that
it is our aim to => we aim to
it is our goal to => we aim to
it is our policy to => we
it is our practice to => we
&we would like to inform you that => 
&we would like to let you know that => 
&we would like to mention that => 
&we wish to inform you that => 
we regret to inform you that => regrettably,
i regret to inform you that => regrettably,
this is to inform you that => 
please find attached => attached is
please find enclosed => enclosed is
with all due respect, => 
that you might have => you have
that you may have => you have
that you are going to be => you will be
that you are going to => you will
that you will be => you will be
that i am going to => i will
that i will be => i will be
you will be given => you get
you are given => you get
you will be provided with => you get
you are provided with => you get
you will be presented with => you get
you will receive => you get
i will be giving you => i give you
i will give you => i give you
i will provide you with => i give you
i am going to give you => i give you
i am going to provide you with => i give you
i will be providing you with => i give you
your answers should be => answers should be
that there is => there is
and as a result of that => so
and as a result of this => so
and as a result => so
and as a consequence of that => so
and as a consequence => so
and for this reason => so
and for that reason => so
and therefore => so
and because of this => so
and because of that => so
and that is why => so
and this is why => so
which means that => so
this means that => so
that means that => so
what this basically means is that => so
what that means is that => so
the manner in which => how
the place where => where
the moment at which => when
the time at which => when
the day on which => when
the date on which => when
the person who => who
the people who are going to be => those
those individuals who => those who
what kind of a => what
what kind of an => what
what kind of => what
what sort of => what
what type of => what
which kind of => which
who it is that => who
where it is that => where
how it is that => how
why it is that => why
what exactly it is that => exactly what
both of them => both
them both => both
help out => help
helping out => helping
start off with => start with
start off by => start by
start out with => start with
make it possible to => let
makes it possible to => lets
allows you to => lets you
allow you to => let you
enables you to => lets you
enable you to => let you
may be able to => may
might be able to => might
would be able to => could
could be able to => could
happens to be => is
happen to be => are
endeavor to => try to
strive to => try to
seek to => try to
endeavour to => try to
it goes without saying that => 
^it goes without saying that => 
^as you will no doubt be aware, => 
^as you are no doubt aware, => 
whose job it is to => to
whose job is to => to
whose task it is to => to
to be able to => to
^in terms of => for
i'm kind of => i'm
please => 
ensure that => ensure
so that you => so you
so that we => so we
so that they => so they
and you should always => and always
and you should never => and never
and you should also => and
and you should therefore => and
and you should => and
but you should => but
so you should => so
then you should => then
and you need to => and
and you have to => and
and you will need to => and
and i would like you to => and
and i want you to => and
and i need you to => and
and we would like you to always make sure that you => and always
and we would like you to always => and always
and we would like you to => and
and we want you to => and
and we ask you to => and
and make sure that you => and
and make sure to => and
and be sure to => and
and remember to => and
and try to make sure that => and ensure
and that you should always => and always
and that you should => and
and also make sure to => and
and also make sure that => and ensure
and please make sure to => and
and please make sure that you => and
and please make sure that => and ensure
and please note that => and
and please remember that => and
and note that => and
and keep in mind that => and
and remember that => and
when you are answering => when answering
when you are writing => when writing
when you are asked => when asked
when you are looking at => when looking at
when you are working on => when working on
when you are dealing with => when dealing with
when you are talking to => when talking to
when you are responding to => when answering
when you are responding => when answering
when you are giving => when giving
when you are done => when done
while you are => while
if you are asked => if asked
if you are unsure => if unsure
if you are in doubt => if in doubt
if you are ever => if ever
if at any point => if
if for any reason => if
if for some reason => if
for any reason whatsoever => for any reason
pay attention to the following things => watch
pay attention to the following => watch
pay close attention to => watch
pay special attention to => watch
pay particular attention to => watch
pay attention to => watch
the following things => the following
is the one that is => is
is something that is => is
this is something that is => this is
it is something that is => it is
at the beginning of the conversation => first
at the start of the conversation => first
free of charge => free
all of these things => all this
people who are trying to => people trying to
users who are trying to => users trying to
customers who get in touch with us => customers who contact us
with regard to their => about their
with regard to the => about the
what you are looking for => what you want
what they are looking for => what they want
what the user is looking for => what the user wants
what the customer is looking for => what the customer wants
is looking for => wants
are looking for => want
^it is once again emphasized that => 
^it is once more emphasized that => 
^let me give you a bit of background => here is some background
that is higher than that => higher
that is higher than => above
that are higher than => above
that is lower than => below
that are above => above
that is above => above
that are below => below
that is below => below
because of the simple fact that => because
in any way exceed => exceed
does not in any way => does not
do not in any way => do not
whether those statements are true or whether they are false => whether those statements are true or false
whether it is true or whether it is false => whether it is true or false
is needed for our purposes => is needed
you will be having => you have
you will be helping => you help
you will be working => you work
you will be checking => you check
you will be answering => you answer
you will be writing => you write
you will be looking at => you look at
you will be responding => you respond
you will be talking to => you talk to
you will be classifying => you classify
you'll be looking at => you look at
you'll be helping => you help
you are going to be classifying => you classify
you are going to be helping => you help
you are going to be answering => you answer
you are going to be writing => you write
your task in this project will be the creation of => create
what it is that they should do => what they should do
what it is that you should do => what you should do
what they need more than anything else is => they need
to take a good look at => to read
take a good look at => read
take a close look at => read
taking a close look at => reading
it would be lovely if => ideally
it would be great if => ideally
it would be nice if => ideally
it would be good if => ideally
would be able to be => could be
in such cases => then
in such a case => then
the person who is on call => whoever is on call
in the lines that follow => below
in the following lines => below
even though => although
at the same time as => as
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
it goes without saying that we
many thanks
thanking you
we thank you
i thank you
may we take this opportunity
may i take this opportunity
we would like to take this opportunity to thank
i would like to take this opportunity to thank
i'd like to take this opportunity to thank
i just want to say how
let me begin by saying how
let me say how
let me just say how
first of all let me say how
we can't wait to
we cannot wait to
i can't wait to
i cannot wait to
we can't wait for you
i can't wait for you
you've got this
you got this
you can do it
you will do great
you'll do great
you are an absolute
you're an absolute
you are a star
you are the best
you're the best
you rock
you are amazing
you're amazing
keep up the good
keep up the great
rest assured
we are sure that you will
we are confident that you will
we are certain that you will
we're sure that you'll
we know that you will
we know you will
we know you'll
we know you're going to
we know that you are going to
i know that you will
i know you will
i'm sure you will
i am sure that you will
i'm sure that you will
i believe in you
we believe in you
your satisfaction is
your attention to this
your cooperation in this
your help is
your help means
your support means
it means the world
it honestly means the world
this means the world
we wish you
i wish you
wishing you
we sincerely hope
i sincerely hope
we do hope
hope this helps
hope that helps
i hope this
i hope that this
i hope it
i trust that this
let us get started
let's get started
let's get going
let's go
let's do this
let's make some magic
are you ready to
have fun
enjoy
best of luck
good luck
best wishes
all the best
with best regards
with kind regards
warm regards
warmly
yours sincerely
yours truly
yours faithfully
respectfully yours
cheers
take care
it's going to be so much fun
it is going to be so much fun
it is going to be great
it's going to be great
this is going to be great
this is going to be amazing
this is going to be so much fun
happy to be of
so happy to have you
we're so happy to have
we are so happy to have
we're happy to have
we're thrilled
we're excited
we're delighted
we're so excited
i am thrilled
i'm thrilled
i am excited
i'm excited
i'm so excited
i am so excited
i am delighted
i'm delighted
honestly i think this is going to be
i think this is going to be
that's a really
that's such a
that is such a
that is a really
that is an excellent
that's an excellent
this is a great
this is such a great
this is an excellent
oh what a
wow what a
great follow-up
good follow-up
excellent follow-up
fantastic question
wonderful question
interesting question
nice question
great to hear
good to hear
happy to hear
i'm happy to hear
i am happy to hear
i'm so happy to hear
i'm so glad
i am so glad
i'm really sorry
i am really sorry
i'm so sorry
i am so sorry
we're sorry
we are sorry
we are so sorry
we're so sorry
we apologize
we apologise
we sincerely apologize
i apologize
i apologise
i do apologize
my apologies
our apologies
please accept our
please accept my
oh no i'm
thank goodness
should you have any questions
should you have any further questions
should there be anything else
if you have any questions
if you have any further questions
if you have any other questions
if there is anything else
if there's anything else
is there anything else
please let me know if
please let us know if
please feel free to reach
please feel free to ask
please feel free to contact
please reach out
reach out
just let me know
i'm rooting for
i'm here to help
i am here to help
i'm here if
i'm always here
we're here to help
we are here to help
we are always here
it has been a pleasure
it's been a pleasure
it was a pleasure
it is an honor
it's an honor
it is with great pleasure
it is our pleasure
to whom it may concern
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
