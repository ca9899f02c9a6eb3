#include "llm/embed/lexicon_data.h"

namespace asahi::llm::text::data {

const std::string_view kFunctionWords = R"(
a an the this that these those there here it its itself they them their theirs themselves he him his himself she her
hers herself i me my mine myself we us our ours ourselves you your yours yourself yourselves one ones someone somebody
anyone anybody everyone everybody something anything everything
of in on at by for with to from into onto upon about as than then so such via per within during while
and or but if because though although whether also too either both
is are was were be been being am do does did doing have has had having will would shall should can could may might must
ought need dare
what which who whom whose when where why how
not no never none neither nor cannot without
all only several else too both such
very really quite just even still yet already ever again much many more most some any each every few little lot lots
please thanks thank hello hi hey dear sir madam kindly ok okay yes well actually basically simply currently possibly
let lets go going get got getting up out off over down away back
s t d ll re ve m
)";

const std::string_view kVeryCommonWords = R"(
best good better great thing things way ways make makes made use used using people person man woman know want like
work works time year day days life find take see come give tell ask try help mean means think look feel say call keep
start stop happen happens cause change become different difference between most first last new old right wrong
better effective efficient easy easily simple quick quickly fast possible able available example examples kind type
types sort part parts place world long small big large high low many often usually always number amount set put
show explain describe define write read learn question answer problem issue reason method step steps tip tips idea
important main common general specific certain sure real own full other another same only lot provide provides allow allows
enable support supported include includes contain based order case cases run user users file name list value using
)";

const std::string_view kCommonWords = R"(
able account add address age allow amount app application apply area average avoid bad bank bank begin believe benefit body
book boy break bring build business buy can car card care career chance check child choose city class clean clear close
code college come company compare computer consider control convert copy cost could country course create current data
date deal decide delete design develop device document download drink drive early earn eat education end engineering
enjoy enough enter error even event exam exist expect experience explain face fact fail fall family far father feature
female field fill final follow food force form free friend function fun future game girl go government grow guy hand
handle hair happy hard have head health hear hold home hour house human image improve increase indian information
install interest internet interview job join key kid kill language late laptop law lead leave less let level light line
link live local login look lose lose loss love low machine main male manage market marriage marry math matter memory
message mind minute miss mobile model module money month mother move movie music near need network night nothing
object offer office online open operate option output own page parent password pay phone pick picture plan play point
possible post power practice prefer prepare present president price process product program project prove public
purchase purpose quality question rate read reach receive recent record relationship remove require research resource
response result return review rule safe salary save say school science score screen search second see sell send sentence
series server service sex share short should side sign similar site situation size skill sleep social software solve
song sound space speak special spend stand state stay story student study style subject success suggest system table
talk teach team technology test text theory thing think thought today top total town train travel treat true trust turn
understand university update use value version video view visit wait walk wall want war watch water wear website week
weight wife win without woman word world worth write young transfer payment charge fee refund top balance order
)";

const std::string_view kSynonyms = R"(
increase raise boost grow improve enhance strengthen maximize gain rise escalate | decrease reduce lower lessen diminish minimize shrink decline drop cut weaken
maximum max highest most upper largest biggest greatest | minimum min lowest least fewest smallest
best greatest finest top ideal optimal perfect good great better nice awesome amazing excellent recommended | worst bad poor worse terrible awful
enable activate | disable deactivate
allow permit let enable authorize approve unblock unlock | forbid deny block refuse reject prohibit prevent disallow ban lock
before prior | after following
start begin commence launch initiate boot | stop end finish quit cease terminate halt
open | close shut
buy purchase order | sell
accept | decline reject refuse
add insert append include attach | remove delete erase drop exclude detach
install setup | uninstall
send transmit dispatch mail | receive obtain
import | export
upload | download
encode | decode
encrypt | decrypt
encryption | decryption
compress zip | decompress unzip extract
serialize | deserialize
connect link join | disconnect unlink
login logon signin | logout logoff signout
subscribe | unsubscribe
mount | unmount
lend | borrow
win | lose
succeed pass | fail
success | failure
pull | push
read | write
client | server
inside indoor internal | outside outdoor external
up upward | down downward
left | right
north | south
east | west
early earlier earliest | late later latest
always | never
all every whole entire | none
above over | below under beneath
ascending | descending
input | output
public | private
deposit | withdraw
withdrawal | deposition
credit | debit
male man boy guy men | female woman girl lady
father dad daddy | mother mom mum mommy
husband | wife
brother | sister
son | daughter
king | queen
uncle | aunt
boyfriend | girlfriend
love adore | hate dislike detest
advantage benefit pro upside merit strength | disadvantage drawback con downside demerit weakness
positive | negative
true | false
hot warm | cold cool
fast quick rapid speedy swift | slow
cheap inexpensive affordable | expensive costly
big large huge great massive giant | small little tiny
long | short
tall | short
thin slim skinny | thick
fat overweight obese | slim
rich wealthy | poor
strong | weak
easy simple uncomplicated effortless | hard difficult tough challenging
young | old elderly
new fresh | old
safe secure harmless | dangerous unsafe risky insecure harmful
legal lawful | illegal unlawful
possible feasible | impossible
able capable | unable incapable
more greater higher larger bigger longer | less fewer smaller shorter
vegetarian vegan | meat
morning | evening
day daytime | night nighttime
today | tomorrow | yesterday
first | last
previous past former | next future upcoming
light | dark
full | empty
wet | dry
push | pull
hire recruit employ | fire dismiss
optional | mandatory required compulsory
local | remote
synchronous sync | asynchronous async
static | dynamic
horizontal | vertical
row | column
introvert | extrovert
import | export
import | important
buyer | seller
employer | employee
teacher | student
doctor | patient
parent | child
question | answer
question query inquiry
answer reply response respond
money cash fund
movie film flick
picture photo image pic photograph
car automobile vehicle
phone telephone mobile cellphone smartphone cell
laptop notebook
computer pc
job employment occupation profession
company firm corporation organisation organization enterprise
kid child toddler
house home
road street
shop store
website site webpage
internet web
app application
program software
bug defect
error fault exception
mistake error blunder
fix repair mend resolve solve remedy
repair restore recover retrieve recovery retrieval
create make build construct generate produce develop establish form craft creation generation production
use utilize employ utilise utilization utilisation usage apply leverage application
provide supply furnish offer give deliver present
allow enable let permit facilitate
help assist aid support assistance
show display demonstrate exhibit present
tell inform notify
explain describe clarify elaborate illustrate outline
define definition meaning mean
get obtain acquire gain receive fetch
get become
earn make gain
choose select pick decide
choice option alternative selection
change modify alter edit update adjust modification alteration amend switch
replace substitute swap
transform convert turn conversion transformation
search seek find look locate discover
discover detect identify find
check verify validate confirm ensure test examine
examine inspect analyze analyse study investigate assess evaluate
assess evaluate rate judge evaluation assessment
keep retain maintain preserve hold
save store preserve
spread distribute disseminate share
begin start
need require must requirement necessary required
want wish desire
like enjoy love
try attempt
think believe consider opinion view thought feel
guess suppose assume
understand comprehend grasp
learn study
teach instruct educate train
speak talk communicate
say state mention
ask request inquire
call phone ring
travel journey trip tour
visit see
live reside stay
die death dead pass
kill murder
eat consume
sleep slumber nap
occur happen
appear seem look
contain include comprise hold consist
show indicate
avoid prevent evade
stop prevent quit
remove eliminate rid
lose shed
loss lose
destroy ruin wreck
finish complete
achieve accomplish attain reach
manage handle administer
run execute launch operate
work function operate
perform conduct execute do
wait
approach method technique way strategy procedure means manner process
step stage phase
tip advice suggestion trick recommendation hint guidance guideline
suggest recommend advise propose
goal aim objective purpose target
reason cause why
result outcome consequence effect impact
effect influence impact affect
feature characteristic property trait
function functionality capability
kind type sort category
part section component portion piece
sample example instance
list enumerate
set collection group
number count amount quantity
size dimension
speed velocity pace
price cost expense charge fee fare
pay payment
salary wage income pay compensation earnings
bill invoice
customer client
user
boss manager supervisor
worker employee staff
colleague coworker
friend buddy pal
enemy foe
person people human individual someone
famous popular renowned
beautiful pretty gorgeous attractive handsome
ugly
smart intelligent clever brilliant
stupid dumb foolish idiotic
happy glad joyful
sad unhappy upset depressed
angry mad furious
afraid scared fearful
tired exhausted
sick ill unwell
crazy insane mad
strange weird odd unusual
normal ordinary typical usual regular
common frequent
rare uncommon
important significant crucial vital essential key
main primary principal chief major
necessary essential
sure certain
correct right accurate proper
incorrect wrong
whole entire full complete total
same identical equal equivalent
similar alike comparable resemble
different distinct diverse various difference differ distinguish distinction differentiate
separate individual
modern contemporary
cutting-edge state-of-the-art advanced modern latest
latest newest recent
effective efficient effectively efficiently
quickly fast rapidly quick soon
immediately instantly instant
often frequently regularly
usually generally typically normally
approximately about roughly around
currently now presently
permanently forever
together
near close nearby
country nation
city town
place location spot
begin beginning
ending end
history past
future
science
exam test examination
college university
course class
school
teacher instructor tutor
student pupil learner
essay paper
book novel
author writer
story tale
song music
game
sport
war battle conflict
government
president
law legislation
crime
police cop
doctor physician
medicine drug medication
disease illness sickness
pain ache
weight
diet
exercise workout
food meal
drink beverage
begin
girlfriend
marry marriage married wedding
divorce
sex intercourse
baby infant
pregnant pregnancy
clothes clothing apparel
dress
shoe footwear
trash garbage rubbish
bicycle bike
motorcycle motorbike
airplane plane aircraft
flight
hotel
apartment flat
rent lease
password passcode
account
email mail
message text
folder directory
argument parameter
function method
library package
documentation doc docs manual
developer programmer coder
application software
project task
environment setting
artificial synthetic
intelligence
freeze hang
crash
device gadget
screen display monitor
button
picture
video clip
audio sound
record
post publish
advertisement ad advert advertising
brand
startup
entrepreneur founder
invest investment investing
investor
stock share
profit
tax taxation
loan
debt
credit
currency
topup top-up
transfer
identity id
proof
track trace
arrive arrival come
lost missing
stolen theft
cancel revoke abort
verify verification
confirm confirmation
increase increment
subtract
multiply
divide
calculate compute calculation computation
measure measurement
estimate estimation
compare comparison
connect connection
install installation
configure configuration
implement implementation
deploy deployment
initialize initialise
optimize optimise optimization
visualize visualization
organize organise
recognize recognise recognition
authenticate authentication
authorize authorization
translate translation
interpret interpretation
describe description
select selection
extract extraction
predict prediction forecast
classify classification categorize categorise
specify indicate state
execute execution
process processing
handle handling
manage management
require requirement
inform information info
achieve achievement
apply application
prepare preparation
solve solution
decide decision
invade invasion
explode explosion
pollute pollution
populate population
educate education
graduate graduation
motivate motivation
relate relation relationship
react reaction
discriminate discrimination
demonetize demonetise demonetization demonetisation
grow growth
believe belief
behave behavior behaviour
fail failure
arrive arrival
approve approval
refuse refusal
survive survival
analyze analysis
color colour
favor favour
center centre
theater theatre
catalog catalogue
meter metre
organization organisation
program programme
license licence
gray grey
math maths mathematics
physics physical
tv television
ai artificial-intelligence
ml machine-learning
js javascript
ts typescript
db database
repo repository
config configuration
env environment
auth authentication
dir directory
param parameter
info information
max maximum
min minimum
vs versus
)";

const std::string_view kClasses = R"(
month: january=jan, february=feb, march=, april=apr, june=jun, july=jul, august=aug, september=sep=sept, october=oct, november=nov, december=dec
weekday: monday=mon, tuesday=tue=tues, wednesday=wed, thursday=thu=thurs, friday=fri, saturday=sat, sunday=sun
season: spring=, summer=, autumn=fall, winter=
ordinal: first=1st, second=2nd, third=3rd, fourth=4th, fifth=5th, sixth=6th, seventh=7th, eighth=8th, ninth=9th, tenth=10th
unit: kilogram=kg=kilo, gram=, milligram=mg, pound=lb=lbs, ounce=oz, ton=tonne, meter=metre, kilometer=km=kilometre, centimeter=cm=centimetre, millimeter=mm=millimetre, mile=, foot=ft=feet, inch=inches, yard=, liter=litre, milliliter=ml, gallon=, celsius=, fahrenheit=, kelvin=, second=sec=secs, minute=mins, hour=hr=hrs, day=, week=, month=, year=yr=yrs, decade=, century=, millisecond=ms, microsecond=us, nanosecond=ns, byte=, kilobyte=kb, megabyte=mb, gigabyte=gb, terabyte=tb, kibibyte=kib, mebibyte=mib, gibibyte=gib, bit=, watt=, kilowatt=kw, volt=, ampere=amp, hertz=hz, megahertz=mhz, gigahertz=ghz, percent=percentage, degree=, calorie=kcal, acre=, hectare=, joule=, newton=, pascal=, psi=, mph=, kmh=kph, knot=, pixel=px, token=, daily=, weekly=, monthly=, yearly=annual=annually, hourly=
currency: dollar=usd, euro=eur, gbp=sterling, rupee=inr, yen=jpy, yuan=cny=rmb, bitcoin=btc, ethereum=eth, franc=chf, ruble=rub, peso=, won=krw, aud=, cad=, lira=, real=brl
programming: python=, java=, javascript=js, typescript=ts, c=, c++=cpp, c#=csharp, golang=, rust=, ruby=, php=, perl=, swift=, kotlin=, scala=, haskell=, lua=, julia=, matlab=, fortran=, cobol=, dart=, elixir=, erlang=, clojure=, bash=, powershell=, sql=, html=, css=, r=, objective-c=, ocaml=, zig=, lisp=, prolog=, groovy=, assembly=
tool: react=reactjs, angular=angularjs, vue=vuejs, svelte=, django=, flask=, fastapi=, rails=, laravel=, spring=, express=, nodejs=node, deno=, pytorch=, tensorflow=, keras=, jax=, numpy=, pandas=, docker=, podman=, kubernetes=k8s, terraform=, ansible=, jenkins=, git=, mercurial=, svn=, npm=, yarn=, pip=, conda=, maven=, gradle=, cmake=, postgresql=postgres, mysql=, mariadb=, sqlite=, oracle=, mongodb=mongo, redis=, memcached=, cassandra=, elasticsearch=, kafka=, rabbitmq=, nginx=, apache=, excel=, word=, powerpoint=, photoshop=, illustrator=, gimp=, vim=, emacs=, eclipse=, intellij=, vscode=
format: json=, xml=, yaml=, toml=, csv=, tsv=, pdf=, png=, jpeg=jpg, gif=, svg=, webp=, mp3=, mp4=, wav=, flac=, avi=, mkv=, zip=, tar=, gzip=, markdown=, latex=, docx=, xlsx=, parquet=, protobuf=, avro=
protocol: http=, https=, ftp=, sftp=, ssh=, telnet=, smtp=, imap=, pop3=, tcp=, udp=, ipv4=, ipv6=, dns=, dhcp=, tls=, ssl=, websocket=, grpc=, rest=, graphql=, soap=, mqtt=
system: windows=, linux=, ubuntu=, debian=, fedora=, centos=, macos=osx, android=, ios=, unix=, freebsd=, chromeos=
company: google=, microsoft=, apple=, amazon=, facebook=, meta=, twitter=, netflix=, uber=, airbnb=, tesla=, ibm=, intel=, amd=, nvidia=, samsung=, sony=, nokia=, huawei=, xiaomi=, oneplus=, dell=, hp=, lenovo=, asus=, acer=, adobe=, oracle=, salesforce=, paypal=, stripe=, visa=, mastercard=, amex=, infosys=, tcs=, wipro=, accenture=, cognizant=, capgemini=, deloitte=, kpmg=, pwc=, flipkart=, walmart=, ebay=, alibaba=, starbucks=, mcdonalds=, nike=, adidas=, toyota=, honda=, ford=, bmw=, audi=, mercedes=, boeing=, airbus=, linkedin=, instagram=, snapchat=, whatsapp=, youtube=, reddit=, quora=, tinder=, tumblr=, pinterest=, yahoo=, bing=, openai=, anthropic=, mistral=, cohere=, deepseek=, verizon=, vodafone=, airtel=, jio=, spotify=, dropbox=, github=, gitlab=, bitbucket=, azure=, aws=, gcp=
language: english=, spanish=, french=, german=, italian=, portuguese=, dutch=, swedish=, norwegian=, danish=, finnish=, polish=, czech=, slovak=, hungarian=, romanian=, bulgarian=, greek=, turkish=, russian=, ukrainian=, arabic=, hebrew=, persian=farsi, hindi=, urdu=, bengali=, tamil=, telugu=, kannada=, malayalam=, marathi=, gujarati=, punjabi=, chinese=, mandarin=, cantonese=, japanese=, korean=, vietnamese=, thai=, indonesian=, malay=, tagalog=, swahili=, latin=, sanskrit=, esperanto=, welsh=, irish=, catalan=, croatian=, serbian=
country: india=indian=indians, america=usa=american=americans, uk=britain=british=england, canada=canadian=canadians, australia=australian=australians, germany=, france=, italy=, spain=, portugal=, netherlands=holland, belgium=belgian, switzerland=swiss, austria=austrian, sweden=, norway=, denmark=, finland=, poland=, ireland=, scotland=scottish, greece=, turkey=, russia=, ukraine=, china=, japan=, korea=, taiwan=taiwanese, vietnam=, thailand=, indonesia=, malaysia=malaysian, singapore=singaporean, philippines=filipino=filipinos, pakistan=pakistani=pakistanis, bangladesh=bangladeshi, nepal=nepali=nepalese, bhutan=, myanmar=burma, lanka=, iran=iranian, iraq=iraqi, israel=israeli, palestine=palestinian, egypt=egyptian, syria=syrian, jordan=, lebanon=lebanese, dubai=, uae=, qatar=, kuwait=, oman=, afghanistan=afghan, nigeria=nigerian, kenya=kenyan, ghana=ghanaian, ethiopia=ethiopian, africa=african=africans, europe=european=europeans, asia=asian=asians, brazil=brazilian, argentina=argentine, chile=chilean, peru=peruvian, colombia=colombian, venezuela=venezuelan, mexico=mexican=mexicans, cuba=cuban, morocco=moroccan, algeria=algerian, tunisia=, libya=, sudan=, uganda=, tanzania=, zimbabwe=, iceland=, hungary=, romania=, bulgaria=, serbia=, croatia=, zealand=
city: london=, paris=, berlin=, munich=, hamburg=, frankfurt=, madrid=, barcelona=, lisbon=, rome=, milan=, venice=, vienna=, zurich=, geneva=, amsterdam=, brussels=, copenhagen=, stockholm=, oslo=, helsinki=, warsaw=, prague=, budapest=, athens=, istanbul=, moscow=, kiev=kyiv, tokyo=, kyoto=, osaka=, seoul=, beijing=, shanghai=, shenzhen=, bangkok=, jakarta=, manila=, sydney=, melbourne=, perth=, auckland=, toronto=, vancouver=, montreal=, ottawa=, chicago=, boston=, seattle=, houston=, dallas=, austin=, denver=, miami=, atlanta=, philadelphia=, detroit=, portland=, phoenix=, cairo=, lagos=, nairobi=, johannesburg=, delhi=, mumbai=bombay, bangalore=bengaluru, hyderabad=, chennai=madras, kolkata=calcutta, pune=, ahmedabad=, jaipur=, lucknow=, chandigarh=, gurgaon=, noida=, kochi=, goa=, kerala=, gujarat=, bihar=, karachi=, lahore=, dhaka=, kathmandu=, texas=, california=, florida=, york=
color: red=, blue=, green=, yellow=, orange=, purple=, pink=, brown=, black=, white=, grey=gray, golden=gold, silver=
religion: hindu=hindus=hinduism, muslim=muslims=islam=islamic, christian=christians=christianity, jew=jews=jewish=judaism, buddhist=buddhists=buddhism, sikh=sikhs=sikhism, atheist=atheists=atheism, catholic=catholics, jain=jainism
planet: mercury=, venus=, earth=, mars=, jupiter=, saturn=, uranus=, neptune=, pluto=, moon=, sun=
subject: physics=, chemistry=, biology=, math=maths=mathematics, history=, geography=, economics=, psychology=, philosophy=, sociology=, statistics=, accounting=, finance=, marketing=, medicine=, architecture=, engineering=
degree: bachelor=bachelors, master=masters, phd=doctorate, mba=, btech=, mtech=, bsc=, msc=, diploma=
animal: dog=dogs, cat=cats, horse=, cow=, pig=, sheep=, goat=, chicken=, bird=, fish=, snake=, tiger=, lion=, elephant=, bear=, wolf=, fox=, rabbit=, mouse=, rat=
organ: heart=, brain=, liver=, kidney=, lung=lungs, stomach=, skin=, eye=eyes, ear=ears, nose=, knee=, shoulder=, hip=, ankle=, wrist=, elbow=
)";

const std::string_view kPhrases = R"(
united states of america=usa
united states=usa
united kingdom=uk
great britain=uk
new york=newyork
new delhi=delhi
sri lanka=lanka
hong kong=hongkong
log in=login
log on=login
logged in=login
logging in=login
sign in=login
signed in=login
log out=logout
sign out=logout
log off=logout
sign up=register
set up=setup
setting up=setup
get rid of=remove
getting rid of=remove
do away with=remove
give up=quit
turn on=enable
turning on=enable
switch on=enable
turn off=disable
turning off=disable
switch off=disable
find out=discover
look for=search
looking for=search
look up=search
top up=topup
topping up=topup
topped up=topup
top ups=topup
carry out=perform
pick up=collect
point of view=opinion
as well as=and
in order to=to
so as to=to
due to=because
because of=because
owing to=because
at least=minimum
at most=maximum
no more than=maximum
no less than=minimum
more than=above
greater than=above
higher than=above
less than=below
fewer than=below
lower than=below
prior to=before
as soon as possible=immediately
right away=immediately
right now=currently
at the moment=currently
at present=currently
these days=currently
nowadays=currently
a lot of=many
lots of=many
plenty of=many
a number of=several
a couple of=two
for example=example
such as=example
for instance=example
how come=why
what for=why
state of the art=state-of-the-art
cutting edge=cutting-edge
artificial intelligence=ai
machine learning=ml
natural language processing=nlp
node js=nodejs
react js=reactjs
objective c=objective-c
c plus plus=c++
c sharp=c#
open source=opensource
data base=database
data set=dataset
data sets=dataset
web site=website
web page=webpage
e mail=email
e mails=email
wi fi=wifi
mac os=macos
make money=earn
making money=earn
earn money=earn
making use of=use
make use of=use
take care of=care
take place=happen
takes place=happen
come from=origin
lose weight=lose-weight
losing weight=lose-weight
weight loss=lose-weight
loose weight=lose-weight
reduce weight=lose-weight
gain weight=gain-weight
put on weight=gain-weight
gaining weight=gain-weight
side effect=sideeffect
side effects=sideeffect
high school=highschool
credit card=creditcard
credit cards=creditcard
debit card=debitcard
debit cards=debitcard
prime minister=primeminister
pros and cons=pros-cons
advantages and disadvantages=pros-cons
advantages disadvantages=pros-cons
break up=breakup
breaking up=breakup
in love=inlove
fall in love=inlove
have to=must
has to=must
need to=must
able to=can
going to=will
used to=formerly
et cetera=etc
)";

}  // namespace asahi::llm::text::data
